"""Sources, opened as a job opens them."""

import pickle

import pytest

from geotether.sources.source import Source


@pytest.fixture
def opened(request, tmp_path):
    """Open the module's SOURCE, prepare it in a folder of its own and send it through a pickle, as to a worker."""

    def make(path, *arguments, folder="job", **options):
        source = request.module.SOURCE(tmp_path / path, *arguments, **options)
        assert isinstance(source, Source)
        (tmp_path / folder).mkdir(exist_ok=True)
        source.prepare(tmp_path / folder)
        return pickle.loads(pickle.dumps(source))

    return make
