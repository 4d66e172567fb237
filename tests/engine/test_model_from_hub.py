"""A model of the hub comes into `models/`: whole, with the right bytes, or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from engine.errors import Cancelled, UserError
from engine.files import clear_partial
from engine.model_folder.source import read_source
from engine.model_folder.usable import require_usable
from engine.model_store import download
from engine.model_store.from_hub import OnProgress
from engine.model_store.get import Brought, OnHub, get_model, parse
from engine.model_store.unfinished import unfinished
from engine.project import Project
from tests.support.hub_stand_in import Hub, Repository, commit_of, files_of, serving
from tests.support.tiny import write_model

import pytest

NAME = "team/tiny-4bit"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files_of(write_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tiny_files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub with a tiny model, beside whose files lie some that nobody wants."""
    monkeypatch.setattr(download, "PAUSES_S", (0.0, 0.0))
    with serving(monkeypatch) as hub:
        others = {"modeling.py": b"import os", "pytorch_model.bin": b"\x80\x04.", ".gitattributes": b"*"}
        hub.repositories[NAME] = Repository({**tiny_files, **others})
        yield hub


def get(
    project: Project,
    repository: str = NAME,
    asked: str = "",
    name: str = "",
    progress: OnProgress = lambda *_told: None,
    stop: Event | None = None,
) -> Brought:
    return get_model(project, OnHub(repository, asked), name, False, progress, stop or Event())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def hidden(project: Project) -> list[str]:
    return [path.name for path in project.models_dir.glob(".*")]


def test_a_model_comes_with_its_data_and_nothing_else(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """Pinned to its commit, which is written down; no program, nothing that is unpickled."""
    seen: list[tuple[str, int, int]] = []
    brought = get(project, progress=lambda *told: seen.append(told))
    assert brought.name == "tiny-4bit" and brought.is_new
    assert brought.left_out == (".gitattributes", "modeling.py", "pytorch_model.bin")
    there = files_of(brought.folder)
    source = json.loads(there.pop("source.json"))
    assert there == tiny_files
    assert (source["repository"], source["revision"]) == (NAME, commit_of(hub.repositories[NAME].files))
    assert project.models() == {"tiny-4bit": brought.folder}
    require_usable(brought.folder)
    assert hidden(project) == []
    figures = [(done, total) for stage, done, total in seen if stage.startswith("Downloading")]
    total = sum(map(len, tiny_files.values()))
    assert figures[0] == (0, total) and figures[-1] == (total, total) and figures == sorted(figures)
    assert not any("modeling.py" in path or ".bin" in path for _method, path, _range in hub.requests)


def test_a_cut_connection_goes_on_where_it_was(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """Not a byte is asked for twice."""
    hub.cuts = [5000, 1, 300]
    brought = get(project)
    assert (brought.folder / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == ["", "bytes=5000-", "bytes=5001-", "bytes=5301-"]


def test_what_was_interrupted_goes_on_the_next_time(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """Also after a start that clears away what killed processes left; no list of models shows it."""
    hub.cuts = [5000, 0, 0, 0]
    with pytest.raises(UserError, match=r"connection to the hub at .* failed") as refused:
        get(project)
    assert refused.value.fix.endswith(f"run again: mqlora-tui get {NAME}")
    clear_partial(project.models_dir)
    [begun] = unfinished(project.models_dir)
    small = sum(len(content) for name, content in tiny_files.items() if name != WEIGHTS)
    assert (begun.present, begun.total) == (small + 5000, small + len(tiny_files[WEIGHTS]))
    assert begun.command == f"mqlora-tui get {NAME}"
    assert project.models() == {}
    hub.requests.clear()
    brought = get(project)
    assert (brought.folder / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    assert hub.ranges(WEIGHTS) == ["bytes=5000-"]
    assert not any(path.endswith("resolve/main/config.json") for _method, path, _range in hub.requests)
    assert hidden(project) == []


def test_a_hub_that_sends_all_again_is_understood(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """Some mirrors do not know Range."""
    hub.cuts, hub.ignores_range = [5000], True
    seen: list[int] = []
    brought = get(project, progress=lambda _stage, done, _total: seen.append(done))
    assert (brought.folder / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    assert max(seen) == sum(map(len, tiny_files.values()))


def test_cancelling_keeps_what_is_there(project: Project, hub: Hub) -> None:
    """And no model appears."""
    hub.cuts = [5000]
    stop = Event()

    def on_progress(_stage: str, _done: int, _total: int) -> None:
        if hub.sent.is_set():
            stop.set()

    with pytest.raises(Cancelled):
        get(project, progress=on_progress, stop=stop)
    [begun] = unfinished(project.models_dir)
    assert 5000 < begun.present < begun.total and project.models() == {}
    hub.requests.clear()
    assert get(project).is_new and hub.ranges(WEIGHTS) == ["bytes=5000-"]


def test_bytes_that_are_not_the_hubs_are_refused_and_fetched_again(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """A proxy changed one; the size alone would not tell."""
    content = bytearray(tiny_files[WEIGHTS])
    content[-1] ^= 1
    hub.sends = {WEIGHTS: bytes(content)}
    with pytest.raises(UserError, match=f"not what the hub has: {WEIGHTS}") as refused:
        get(project)
    assert project.models() == {} and refused.value.fix.endswith(f"mqlora-tui get {NAME}")
    hub.sends.clear()
    hub.requests.clear()
    assert (get(project).folder / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    fetched = [path for _method, path, _range in hub.requests if "/resolve/" in path]
    assert [path.rpartition("/")[2] for path in fetched] == [WEIGHTS]


def test_more_bytes_than_promised_end_it(project: Project, hub: Hub, tiny_files: dict[str, bytes]) -> None:
    """A disk is not filled by a hub that goes on and on."""
    hub.sends = {"config.json": tiny_files["config.json"] + b" " * 5000}
    with pytest.raises(UserError, match="does not answer as a hub"):
        get(project)
    assert project.models() == {}


@pytest.mark.parametrize(
    ("repository", "token", "problem", "fix"),
    [
        (Repository({}, token="mine"), "", "has no model team/other, or not for everybody", "HF_TOKEN"),
        (Repository({}, token="mine"), "yours", "has no model team/other, or not", "check the name"),
        (Repository({}, token="mine"), "stale", "does not take the token in use", "HF_TOKEN"),
        (None, "", "has no model team/other", "check the name"),
    ],
)
def test_what_may_not_be_read_is_told(
    project: Project,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    repository: Repository | None,
    token: str,
    problem: str,
    fix: str,
) -> None:
    """401 and 404: the hub tells no stranger which of them it is."""
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    if repository:
        hub.repositories["team/other"] = repository
    with pytest.raises(UserError, match=problem) as refused:
        get(project, "team/other")
    assert fix in refused.value.fix
    assert not project.models_dir.exists()


@pytest.mark.parametrize("token", ["", "mine"])
def test_a_gated_model_names_its_page(
    project: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """401 without a token, 403 with one that is not let in."""
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.repositories[NAME].gated = True
    with pytest.raises(UserError, match="only for those whom its authors let in") as refused:
        get(project)
    assert f"{hub.address}/{NAME}" in refused.value.fix and "HF_TOKEN" in refused.value.fix


def test_a_private_model_comes_with_its_token(
    project: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of HF_TOKEN."""
    hub.repositories[NAME].token = "mine"
    monkeypatch.setenv("HF_TOKEN", "mine")
    assert get(project).is_new


def test_an_unknown_revision_is_told(project: Project, hub: Hub) -> None:
    """With the page that lists them."""
    with pytest.raises(UserError, match="no revision 'v9'") as refused:
        get(project, asked="v9")
    assert hub.address in refused.value.fix


def test_another_revision_does_not_replace_one(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """The same one is compared byte by byte, another one wants another name."""
    first = get(project)
    again = get(project)
    assert not again.is_new and again.source == first.source
    hub.repositories[NAME].branches["v2"] = tiny_files | {"README.md": b"# second"}
    with pytest.raises(UserError, match="another revision") as refused:
        get(project, asked="v2")
    assert "--name" in refused.value.fix
    second = get(project, asked="v2", name="tiny-v2")
    assert second.source.asked == "v2" and (second.folder / "README.md").exists()
    (first.folder / "config.json").write_bytes(tiny_files["config.json"] + b" ")
    with pytest.raises(UserError, match=r"not what the hub has: config\.json"):
        get(project)


def test_a_name_that_something_else_has_is_left_alone(project: Project, hub: Hub) -> None:
    """Without a question to the hub."""
    (project.models_dir / "tiny-4bit").mkdir(parents=True)
    with pytest.raises(UserError, match="exists already"):
        get(project)
    assert hub.requests == []


def test_a_branch_that_moved_takes_only_what_is_new(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """What is there of files that stayed the same is kept; what changed is not mixed."""
    hub.cuts = [5000, 0, 0, 0]
    with pytest.raises(UserError):
        get(project)
    config = json.loads(tiny_files["config.json"]) | {"note": "moved"}
    hub.repositories[NAME].files["config.json"] = json.dumps(config).encode()
    hub.requests.clear()
    brought = get(project)
    assert json.loads((brought.folder / "config.json").read_text())["note"] == "moved"
    fetched = [path.rpartition("/")[2] for _method, path, _range in hub.requests if "/resolve/" in path]
    assert fetched == ["config.json", WEIGHTS] and hub.ranges(WEIGHTS) == ["bytes=5000-"]


def test_two_models_are_not_mixed(project: Project, hub: Hub) -> None:
    """An unfinished download keeps its name."""
    hub.cuts = [5000, 0, 0, 0]
    with pytest.raises(UserError):
        get(project)
    hub.repositories["other/tiny-4bit"] = hub.repositories[NAME]
    with pytest.raises(UserError, match=f"unfinished download of {NAME}") as refused:
        get(project, "other/tiny-4bit")
    assert "--name" in refused.value.fix


def test_a_download_under_way_is_not_begun_twice(project: Project, hub: Hub) -> None:
    """Another process, or the app, has it."""
    hub.holds = Event()
    with ThreadPoolExecutor(1) as pool:  # locks are the open folder's, not the process's
        other = pool.submit(get, project)
        assert hub.sent.wait(60)
        with pytest.raises(UserError, match="downloaded by another process"):
            get(project)
        goes_on, hub.holds = hub.holds, None
        goes_on.set()
        assert other.result(60).is_new


def test_a_disk_that_is_too_small_is_told_before(
    project: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is needed and what is free."""
    usage = shutil.disk_usage(project.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"are needed on the disk .* 1\.0 kB are free"):
        get(project)
    assert project.models() == {}


def test_a_disk_that_fills_up_keeps_what_is_there(
    project: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, and how to go on."""
    real = os.open

    def full(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if str(path).endswith(WEIGHTS) and flags & os.O_WRONLY:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, *more, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        with pytest.raises(UserError, match="No space left") as refused:
            get(project)
    assert "free some disk space, then go on with: mqlora-tui get" in refused.value.fix
    assert [one.name for one in unfinished(project.models_dir)] == ["tiny-4bit"]
    assert get(project).is_new


def test_offline_is_told(project: Project, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the variable forbids it, which is read when the library is imported."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids to download it"):
        get(project)
    assert hub.requests == []


def test_a_hub_that_is_not_there_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its address."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"The connection to the hub at http://127\.0\.0\.1:9 failed"):
        get(project)


def test_an_architecture_that_cannot_be_used_costs_no_weights(
    project: Project, hub: Hub, tiny_files: dict[str, bytes]
) -> None:
    """The small files come first; nothing is kept of what cannot be used."""
    config = json.loads(tiny_files["config.json"]) | {"model_type": "unheard_of"}
    hub.repositories[NAME].files["config.json"] = json.dumps(config).encode()
    with pytest.raises(UserError, match=f"{NAME} is of the architecture 'unheard_of'"):
        get(project)
    assert hub.ranges(WEIGHTS) == [] and hidden(project) == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"model.Q4_K_M.gguf": b"GGUF", "config.json": b"{}"}, "GGUF files such as model.Q4_K_M.gguf"),
        ({"pytorch_model.bin": b"x", "config.json": b"{}"}, "in a form that can run code"),
        ({"README.md": b"x"}, "holds no language model"),
    ],
)
def test_what_is_no_model_is_told_at_once(
    project: Project, hub: Hub, files: dict[str, bytes], problem: str
) -> None:
    """From the list of its files alone."""
    hub.repositories[NAME].files = files
    with pytest.raises(UserError, match=problem):
        get(project)
    assert len(hub.requests) == 1 and not project.models_dir.exists()


def test_names_that_lead_elsewhere_are_not_taken(project: Project, hub: Hub) -> None:
    """A hub may call a file what it likes."""
    odd = ["../../evil.json", "/etc/evil.json", "a/b/c.jinja", ".hidden.json", "source.json", "x\x1b[2J.json"]
    hub.repositories[NAME].files |= {name: b"{}" for name in odd}
    before = sorted(project.root.parent.iterdir())  # temporary folders of other tests too
    brought = get(project)
    assert sorted(project.root.parent.iterdir()) == before
    assert not list(project.root.rglob("*evil*"))
    source = read_source(brought.folder)
    assert source is not None and source.repository == NAME
    assert {path.name for path in brought.folder.iterdir()}.isdisjoint({".hidden.json", "x\x1b[2J.json"})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("team/model", OnHub("team/model")),
        ("team/model@v1.2", OnHub("team/model", "v1.2")),
        ("https://huggingface.co/team/model", OnHub("team/model")),
        ("https://huggingface.co/team/model/tree/dev", OnHub("team/model", "dev")),
        ("mistral-7b-instruct-v0.3-4bit", OnHub("mlx-community/Mistral-7B-Instruct-v0.3-4bit")),
    ],
)
def test_a_model_is_named_as_people_do(tmp_path: Path, text: str, meant: OnHub) -> None:
    """By its name, with a revision, by the address of its page, or briefly if it is offered."""
    assert parse(text, tmp_path) == meant


@pytest.mark.parametrize("text", ["", "model", "a/b/c", "../x", "team/mo del", "team/..", "~/nowhere"])
def test_what_names_no_model_is_refused(tmp_path: Path, text: str) -> None:
    """With the forms that there are."""
    with pytest.raises(UserError, match="neither a folder nor a file, nor can a model") as refused:
        parse(text, tmp_path)
    assert "ORGANISATION/NAME" in refused.value.fix


def test_a_folder_in_place_of_models_that_takes_nothing(project: Project, hub: Hub) -> None:
    """A file has the place of `models/`."""
    project.models_dir.write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        get(project)
