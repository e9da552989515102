"""Model folders on the Hugging Face Hub, with a server on loopback in its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import TINY, in_process
from tests.support.hub_server import Hub, hub_server
from twinpath.errors import DownloadFailed, UnknownWeightFormat, UsageError
from twinpath.zoo import hub_folders
from twinpath.zoo.hub_folders import HubAddress, push_folder
from twinpath.zoo.model_folder import ModelFolder, read_model_folder
from twinpath.zoo.records import record


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with hub_server() as hub:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        hub_folders._fetched.cache_clear()
        yield hub
        hub_folders._fetched.cache_clear()


@pytest.fixture
def own(tmp_path: Path) -> ModelFolder:
    """A model folder with a report beside the model."""
    embedded = record(TINY[1]).embedded_folder
    assert embedded is not None
    folder = shutil.copytree(embedded, tmp_path / "own")
    (folder / "report.html").write_text("pictures of my children")
    return read_model_folder(folder)


def test_push_and_use(hub: Hub, own: ModelFolder) -> None:
    address = own.push_to_hub("me/own")
    assert address.startswith(f"{hub.url}/me/own/commit/")
    uploaded = hub.repositories["me/own"]
    assert uploaded.private
    assert set(uploaded.files) == {"README.md", "model.json", *own.card.files}
    fetched = read_model_folder("hf://me/own")
    assert (fetched.name, fetched.sha256, fetched.card) == ("own", own.sha256, own.card)
    assert fetched.checked("weights.safetensors").read_bytes() == uploaded.files["weights.safetensors"]


def test_what_was_fetched_is_used_without_asking(hub: Hub, own: ModelFolder) -> None:
    push_folder(own, "me/own")
    first = read_model_folder("hf://me/own")
    uploaded = hub.repositories["me/own"]
    uploaded.files["model.json"] = uploaded.files["model.json"].replace(b'"dataset": "', b'"dataset": "new ')
    uploaded.commit = "1" * 40
    hub.requests.clear()
    hub_folders._fetched.cache_clear()
    assert read_model_folder("hf://me/own").card == first.card
    assert hub.requests == []
    hub_folders.fetch_folder("hf://me/own", again=True)
    assert read_model_folder("hf://me/own").card.dataset.startswith("new ")
    assert read_model_folder(f"hf://me/own@{first.path.name}").card == first.card


def test_a_download_that_broke_off_is_finished(hub: Hub, own: ModelFolder) -> None:
    push_folder(own, "me/own")
    whole = hub.repositories["me/own"].files.pop("weights.safetensors")
    with pytest.raises(DownloadFailed, match=r"cannot fetch hf://me/own from the Hugging Face Hub"):
        read_model_folder("hf://me/own")
    hub.repositories["me/own"].files["weights.safetensors"] = whole
    assert read_model_folder("hf://me/own").has("weights.safetensors")


@pytest.mark.parametrize("address", ["hf://own", "hf://me/own/more", "hf://me/own@", "hf://me/own@a b"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match="hf://USER/NAME"):
        HubAddress.parse(address)


def test_what_is_not_there(hub: Hub, own: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadFailed, match=r"hf://me/none .*needs a login: HTTP 404"):
        read_model_folder("hf://me/none")
    push_folder(own, "me/own")
    with pytest.raises(DownloadFailed, match=r"hf://me/own@v9 .*HTTP 404"):
        read_model_folder("hf://me/own@v9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        read_model_folder("hf://me/own")


def test_a_public_repository_is_no_place_for_a_private_model(hub: Hub, own: ModelFolder) -> None:
    push_folder(own, "me/own", public=True)
    assert not hub.repositories["me/own"].private
    with pytest.raises(UsageError, match="me/own is public"):
        push_folder(own, "me/own")
    with pytest.raises(UsageError, match="USER/NAME"):
        push_folder(own, "own")


def test_commands(hub: Hub, own: ModelFolder, tmp_path: Path) -> None:
    done = in_process("models", "push", str(own.path), "me/own")
    assert done.out.startswith(f"{hub.url}/me/own/commit/")
    assert "--model hf://me/own" in done.err
    (downloaded,) = in_process("models", "download", "hf://me/own", "--json").objects
    assert Path(downloaded["path"], "model.json").is_file()
    (facts,) = in_process("models", "info", "hf://me/own", "--json").objects
    assert (facts["name"], facts["sha256"]) == ("own", own.sha256)
    assert "hf://me/own@v9" in in_process("models", "info", "hf://me/own@v9", code=5).error
    with pytest.raises(UnknownWeightFormat):
        read_model_folder(tmp_path)
