"""Small models of random weights, in files as they are published."""

import pytest

WORDS = ["wageningen", "lies", "on", "the", "rhine", "a", "landslide", "was", "triggered", "by", "rain", "near", "."]


@pytest.fixture(scope="session")
def small(torchvision_imports, tmp_path_factory):
    """A residual network and a transformer with random weights, in the files that people have."""
    import timm
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    models = {
        "resnet": timm.create_model("test_resnet", num_classes=7).eval(),
        "vit": timm.create_model("test_vit", num_classes=7).eval(),
    }
    for name, model in models.items():
        save_file(model.state_dict(), folder / f"{name}.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in models["resnet"].state_dict().items()}}, folder / "r.pth")
    return folder, models


@pytest.fixture(scope="session")
def published(torchvision_imports, tmp_path_factory):
    """torchgeo's own ResNet-18 for 13 bands, and its state dict in a file."""
    import torch
    from torchgeo.models import resnet18

    torch.manual_seed(0)
    model = resnet18(in_chans=13).eval()
    path = tmp_path_factory.mktemp("weights") / "resnet18_sentinel2_all_moco-59bfdff9.pth"
    torch.save(model.state_dict(), path)
    return path, model


@pytest.fixture(scope="session")
def sentence_model(tmp_path_factory, torchvision_imports):
    """A BERT of two layers and a WordPiece vocabulary, as sentence-transformers saves it."""
    pytest.importorskip("sentence_transformers")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    path = tmp_path_factory.mktemp("model")
    (path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=18, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=64,
        )  # fmt: skip
        BertModel(config).save_pretrained(path / "bert")
    BertTokenizerFast(vocab=str(path / "vocab.txt")).save_pretrained(path / "bert")
    bert = Transformer(str(path / "bert"), max_seq_length=48)
    SentenceTransformer(modules=[bert, Pooling(16)], device="cpu").save(str(path / "whole"))
    return path / "whole"
