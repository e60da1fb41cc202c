"""`geotether models`: the models that are found by name."""

from pathlib import Path


def models() -> str:
    """List the models that are found by name: of the package, of your data folder, and in the cache of the Hub."""
    from geotether.checkpoint.hub import cached_models
    from geotether.checkpoint.named import named_models, user_models

    found = named_models() | cached_models()
    lines = [line for name, path in found.items() for line in described(name, path)]
    own = f"Model folders and files of encoders in {user_models()} are found by name as well."
    return "\n".join([*(lines or ["No models come with this installation."]), own])


def described(name: str, path: Path) -> list[str]:
    """Describe one model in a few lines; a damaged one by its error."""
    from geotether.checkpoint.folder import licence_of
    from geotether.checkpoint.hub import snapshot_of
    from geotether.checkpoint.named import SHIPPED
    from geotether.files.disk import size_in_words
    from geotether.loading import load

    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = size_in_words(sum(file.stat().st_size for file in files))
    home = "with the package" if path.parent == SHIPPED else "from the Hub" if snapshot_of(path) else "yours"
    try:
        model = load(path)
    except (OSError, ValueError, ImportError) as error:
        return [f"{name}  {size}, {home}; it cannot be loaded: {error}"]
    provenance = model.provenance
    dim = getattr(model, "dim", None)
    full = getattr(model, "full_dim", dim)
    numbers = f"; {dim:,} numbers per place{f', up to {full:,}' if full != dim else ''}" if dim else ""
    facts = {
        "licence": licence_of(provenance),
        "modalities": ", ".join(getattr(model, "modalities", ())),
        "scores": provenance.get("scores", {}).get("line", ""),
        "path": str(path),
    }
    return [f"{name}  {size}, {home}{numbers}", *(f"  {key:<11} {fact}" for key, fact in facts.items() if fact)]
