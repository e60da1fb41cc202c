import pyarrow as pa
import pytest

from geotether.files.values import usual

LISTS = [[1.5, 2.0], None, [], [3.25]]


@pytest.mark.parametrize("make, wanted", [(pa.list_view, pa.list_), (pa.large_list_view, pa.large_list)])
@pytest.mark.parametrize("first, count", [(0, 4), (1, 3), (1, 1), (0, 0)])
def test_list_views_become_lists_with_all_their_offsets(make, wanted, first, count):
    found = usual(pa.chunked_array([pa.array(LISTS, make(pa.float32())).slice(first, count)]))
    found.validate(full=True)
    assert found.type == wanted(pa.float32())
    assert found.to_pylist() == LISTS[first : first + count]


def test_list_views_of_text_views_become_lists_of_texts():
    found = usual(pa.chunked_array([pa.array([["a"], ["b", None]], pa.list_view(pa.string_view()))]))
    assert found.type == pa.list_(pa.string())
    assert found.to_pylist() == [["a"], ["b", None]]
