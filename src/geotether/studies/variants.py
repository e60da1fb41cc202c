"""The variants of a contribution study: all modalities, all but one, and each alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from geotether.encoders.build import known_names

ALL = "all"


@dataclass(frozen=True)
class Variant:
    """A choice of the modalities that a model is pre-trained on.

    Attributes:
        name: Such as "all", "without text" or "only text".
        modalities: In the order of the full set.
    """

    name: str
    modalities: tuple[str, ...]


def variants(modalities: Sequence[str], wanted: Sequence[str] | None = None) -> list[Variant]:
    """List what has to be trained to tell what modalities are worth: all, without each, each alone.

    Of two modalities, being without the one is the same as the other alone: that model is listed once.

    Args:
        modalities: Names of the full set, two or more, all different.
        wanted: Those whose worth is asked for; None asks for all.

    Returns:
        The variants, each choice of modalities once; the full set first.

    Raises:
        ValueError: If there are fewer than two modalities, a name comes twice or is not known.

    Example:
        >>> [variant.name for variant in variants(["image", "text", "sound"])]
        ['all', 'without image', 'without text', 'without sound', 'only image', 'only text', 'only sound']
        >>> [variant.name for variant in variants(["image", "text"])]
        ['all', 'only text', 'only image']
    """
    names = tuple(modalities)
    if len(names) < 2:
        raise ValueError(
            f"What a modality adds can be told of two or more, got {', '.join(names) or 'none'}: name more tables."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"Each modality may come once, got {', '.join(names)}.")
    for name in wanted or ():
        if name not in names:
            raise ValueError(f"Unknown modality {name!r}; {known_names(name, names)}")
    asked = names if wanted is None else tuple(name for name in names if name in wanted)
    chosen = [Variant(ALL, names)]
    chosen += [without(names, name) for name in asked]
    chosen += [Variant(f"only {name}", (name,)) for name in asked]
    return list({variant.modalities: variant for variant in chosen}.values())


def without(names: Sequence[str], name: str) -> Variant:
    """The variant that lacks one modality; "only ..." where a single one is left.

    Example:
        >>> without(["image", "text", "sound"], "text")
        Variant(name='without text', modalities=('image', 'sound'))
    """
    left = tuple(other for other in names if other != name)
    return Variant(f"only {left[0]}" if len(left) == 1 else f"without {name}", left)
