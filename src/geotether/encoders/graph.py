"""One computation graph of a location encoder, for programs without this package: ONNX and torch.export files."""

import copy
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor, nn

from geotether.encoders.location import LocationEncoder
from geotether.files.disk import replacing_file, writing

KINDS = (".onnx", ".pt2")
INPUT, OUTPUT = "lonlat", "embedding"
CONVENTIONS = {
    "input": f"{INPUT}: float64, shape (n, 2), longitude first, then latitude",
    "units": "degrees, WGS 84; longitude from -180 to 360, latitude from -90 to 90; other rows give NaN",
    "output": f"{OUTPUT}: float32, shape (n, dim), not normalised",
}
FACTS_FILE = "geotether.json"
# Largest difference from this package, relative to the largest number (or 1), with which a file is written.
TOLERANCE = 1e-4


class EncoderGraph(nn.Module):
    """What is exported: the vectors of an encoder, and NaN for rows that are not (longitude, latitude) in degrees.

    Args:
        encoder: On the CPU.
        dim: Numbers per vector.
    """

    def __init__(self, encoder: LocationEncoder, dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = dim

    def forward(self, lonlat: Float64[Tensor, "n 2"]) -> Float32[Tensor, "n dim"]:
        """Embed places (n, 2)."""
        lon, lat = lonlat[:, :1], lonlat[:, 1:]
        valid = (lat.abs() <= 90) & (lon >= -180) & (lon <= 360)  # comparisons with NaN are false
        vectors = self.encoder.handout(torch.where(valid, lonlat, 0.0), self.dim)
        return torch.where(valid, vectors, float("nan"))


class FixedReadout(nn.Module):
    """A projected readout of one length, without the directions that other lengths need."""

    matrix: Tensor
    offset: Tensor

    def __init__(self, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)

    def forward(self, parts: Sequence[Tensor], dim: int) -> Tensor:
        """Return the product of the joined parts, as `Readout` does."""
        return torch.cat(list(parts), dim=1) @ self.matrix + self.offset


def write_graph(
    encoder: LocationEncoder, path: str | Path, dim: int | str | None = None, facts: Mapping[str, Any] | None = None
) -> float | None:
    """Write an encoder as one graph from coordinates to vectors, local context included, with any number of rows.

    The file is complete or absent, and compared with the encoder before it is written: an ONNX file if onnxruntime is
    installed, a torch.export file always.

    Args:
        encoder: A trained encoder.
        path: File to write, .onnx (one file, weights included) or .pt2 (for `torch.export.load`).
        dim: Numbers per vector, from 1 to `full_dim`, if the readout is projected; "full" for all.
        facts: What the file says about the model, beside `CONVENTIONS` and `dim`; values are written as text: metadata
            properties of ONNX, `geotether.json` among the extra files of torch.export.

    Returns:
        The largest difference between the vectors of file and encoder at 1,000 places; None if not compared.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
        ValueError: If the ending is another, the model has no vectors of `dim` numbers, or a part of it (a plug-in) is
            not made of tensor operations that can be exported.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"{path} must end in {' or '.join(KINDS)}: ONNX, or a program for torch.export.load.")
    width = encoder.check_dim(dim)
    said = {**CONVENTIONS, "dim": str(width), **{key: str(value) for key, value in (facts or {}).items()}}
    if kind == ".onnx":
        _check_installed()
    with writing(path):
        graph = EncoderGraph(_lean(encoder, width), width).eval()
        places = check_places()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters, about themselves
            wanted = graph(places).numpy()
            try:
                rows = ({0: torch.export.Dim("n")},)
                program = torch.export.export(graph, (places[:7],), dynamic_shapes=rows)
                model = _onnx_model(program, places[:7]) if kind == ".onnx" else None
            except Exception as error:  # whatever the code of a plug-in raises when it is traced
                raise ValueError(
                    f"The model cannot be exported: {_first_line(error)} Networks and encodings must consist of tensor "
                    "operations whose course does not depend on values, nor on len() of a tensor (use x.shape[0])."
                ) from error
            content = _pt2(program, said) if model is None else _onnx(model, said)
            got = _run_pt2(content, places) if model is None else _run_onnx(content, places.numpy())
        difference = None if got is None else _difference(got, wanted, path)
        with replacing_file(path) as part:
            part.write_bytes(content)
    return difference


def check_places(count: int = 1000) -> Float64[Tensor, "count 2"]:
    """Return places at which a file is compared: poles, antimeridian, longitudes beyond 180, and random ones."""
    edges = [(0, 90), (137, 90), (-75, -90), (180, 10), (-180, 10), (360, 0), (0, 0), (359.75, -45), (-180, -90)]
    generator = np.random.default_rng(0)
    lon = generator.uniform(-180, 360, count - len(edges))
    lat = np.degrees(np.arcsin(generator.uniform(-1, 1, count - len(edges))))
    return torch.from_numpy(np.concatenate((np.array(edges, float), np.stack((lon, lat), 1))))


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"ONNX files are written with onnx and onnxscript: pip install 'geotether[onnx]'. ({error})"
        ) from None


def _lean(encoder: LocationEncoder, width: int) -> LocationEncoder:
    """Return the encoder on the CPU, with a readout of one length; it shares the other parts if they are there."""
    if next(encoder.parameters()).device.type != "cpu":
        encoder = copy.deepcopy(encoder).cpu()
    if encoder.projection is None:
        return encoder
    lean = copy.copy(encoder)
    lean._modules = {**encoder._modules, "projection": FixedReadout(*encoder.projection.matrix(width))}
    return lean


def _onnx_model(program: Any, places: Tensor) -> Any:
    """Convert an exported program to an ONNX model."""
    converted = torch.onnx.export(
        program,
        (places,),
        dynamo=True,
        verbose=False,
        external_data=False,
        input_names=[INPUT],
        output_names=[OUTPUT],
        custom_translation_table=_precise_translations(),
    )
    return converted.model_proto  # type: ignore[union-attr]


def _precise_translations() -> dict[Any, Any]:
    """Return translations of operations that the exporter or onnxruntime has in float32 only.

    An angle of many turns needs them in float64.
    """
    import onnx_ir
    from onnxscript import FLOAT, opset20

    op: Any = opset20

    def constant(number: float) -> Any:
        return op.Constant(value=onnx_ir.tensor(np.array(number, np.float64)))

    def scalar_tensor(
        s: Any, dtype: int = -1, layout: str = "", device: str = "", pin_memory: bool = False
    ) -> Any:  # the exporter's own rounds numbers of Python to float32
        number = constant(s) if isinstance(s, int | float) else s
        return op.Cast(number, to=FLOAT.dtype if dtype == -1 else dtype)

    def deg2rad(x: Any) -> Any:
        return op.Mul(x, op.CastLike(constant(np.pi / 180), x))

    def asin(x: Any) -> Any:  # in float32, corrected by one step of Newton's method
        near = op.CastLike(op.Asin(op.Cast(x, to=FLOAT.dtype)), x)
        return op.Add(near, op.Div(op.Sub(x, op.Sin(near)), op.Cos(near)))

    operations = torch.ops.aten
    return {
        operations.scalar_tensor.default: scalar_tensor,
        operations.deg2rad.default: deg2rad,
        operations.asin.default: asin,
    }


def _onnx(model: Any, facts: Mapping[str, str]) -> bytes:
    """Return an ONNX file with facts, and without the lines of source code that made its parts."""
    import onnx

    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    for end in (*model.graph.input, *model.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "n"
    model.producer_name, model.producer_version = "geotether", facts.get("geotether", "")
    model.doc_string = "Location encoder: longitude and latitude to a vector. " + "; ".join(CONVENTIONS.values()) + "."
    onnx.helper.set_model_props(model, dict(facts))
    return model.SerializeToString()


def _pt2(program: Any, facts: Mapping[str, str]) -> bytes:
    """Return a torch.export file with facts, likewise."""
    for part in program.graph_module.modules():
        for node in part.graph.nodes if hasattr(part, "graph") else ():
            node.meta.pop("stack_trace", None)
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={FACTS_FILE: json.dumps(facts, indent=2)})
    return content.getvalue()


def _run_pt2(content: bytes, places: Tensor) -> np.ndarray:
    return torch.export.load(io.BytesIO(content)).module()(places).numpy()


def _run_onnx(content: bytes, places: np.ndarray) -> np.ndarray | None:
    """Return the vectors of an ONNX file, or None without onnxruntime."""
    try:
        import onnxruntime
    except ImportError:
        return None
    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return session.run(None, {INPUT: places})[0]
    except Exception as error:  # it has its own hierarchy, below Exception
        raise ValueError(
            f"onnxruntime cannot run the exported model: {_first_line(error)} A network in double precision with GELU "
            "is such a model; convert it by encoder.module.float(), or write a .pt2 file."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") + "."


def _difference(got: np.ndarray, wanted: np.ndarray, path: Path) -> float:
    """Return the largest difference; ValueError if it is above the tolerance."""
    difference = float(np.abs(got - wanted).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
        raise ValueError(
            f"{path} was not written: the vectors of the exported model differ by up to {difference:g} from those of "
            "the encoder. A part of the model does not export faithfully."
        )
    return difference
