"""Programs that come with a model and do not end: chat templates and patterns of tokenizers."""

import json
import resource
from pathlib import Path
from types import SimpleNamespace

from engine.config import TrainingConfig
from engine.dataset.inspect.check import check_data
from engine.errors import UserError
from engine.model_folder.panics import refused_panics
from engine.model_folder.template_sandbox import MOST_SOURCE, MOST_STEPS, TooMuch, render
from engine.model_folder.template_trial import _limit, comes_to_an_end
from engine.model_folder.tokenizer import load_tokenizer
from tests.support.tiny import CHATML, pairs, tiny_project, write_rows

import pytest

MANY = "range(99999)"
DOUBLED = "{{% set ns = namespace(x='ab') %}}{{% for i in range(90) %}}{}{{% endfor %}}"
ENDLESS = {
    "loops": f"{{% for i in {MANY} %}}{{% for j in {MANY} %}}{{% endfor %}}{{% endfor %}}",
    "no round": f"{{% for i in {MANY} %}}{{% for j in {MANY} if false %}}{{% endfor %}}{{% endfor %}}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(80) }}",
    "blocks": "".join(
        f"{{% block b{n} %}}{{{{ self.b{n + 1}() }}}}{{{{ self.b{n + 1}() }}}}{{% endblock %}}"
        for n in range(30)
    )
    + "{% block b30 %}{% endblock %}",
    "a sum that doubles": DOUBLED.format("{% set ns.x = ns.x + ns.x %}"),
    "a text that doubles": DOUBLED.format("{% set ns.x = ns.x ~ ns.x %}"),
    "a block that doubles": DOUBLED.format("{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}"),
    "a power": "{{ 10 ** 9999999999 }}",
    "a product": "{{ 'x' * 9999999999 }}",
    "a list": "{{ [1] * 9999999999 }}",
    "a width": "{{ 'x'.center(9999999999) }}",
    "a filter": "{{ 'x'|center(9999999999) }}",
    "its source": " " * (MOST_SOURCE + 1),
}


LARGE = "{% set a = 'a' * 1000000 %}"
GROWING = {
    "a text in a text": "{{ a.replace('a', a) }}",
    "bytes": "{{ a.encode().replace('a'.encode(), a.encode()) }}",
    "a format": "{{ ('{0}' * 99999).format(a) }}",
    "a width": "{{ '%20000000000d' % 1 }}",
    "a list": "{{ ([a] * 1000000)|map('upper')|list }}",
    "after some turns": "{% if messages|length > 2 %}{{ a.replace('a', a) }}{% endif %}",
}


@pytest.mark.parametrize("how", ENDLESS)
def test_an_endless_template_is_ended(how: str) -> None:
    """Whatever it goes on with; the next one begins to count anew."""
    for _time in range(2):
        with pytest.raises(TooMuch, match="does not come to an end"):
            render(ENDLESS[how], [])
    assert render("{{ 2 ** 10 }}{{ 'a' * 2 ~ 1 ~ none }}{{ [1] + [2] }}", []) == "1024aa1None[1, 2]"


@pytest.mark.parametrize("how", GROWING)
def test_what_grows_within_one_call_is_found_out_in_a_child(how: str) -> None:
    """A process of its own takes no more memory than it is given, and ends."""
    assert not comes_to_an_end(LARGE + GROWING[how])


@pytest.mark.slow
def test_what_takes_too_long_within_one_call_is_found_out_in_a_child() -> None:
    """Two lists of lists that are equal to the last of 2^60 items."""
    nest = "".join(f"{{% set ns.{name} = [ns.{name}, ns.{name}] %}}" for name in "xy")
    loop = f"{{% set ns = namespace(x=[1], y=[1]) %}}{{% for i in range(60) %}}{nest}{{% endfor %}}"
    assert not comes_to_an_end(loop + "{{ ns.x == ns.y }}")


@pytest.mark.parametrize(
    "source", ["{% if", "{{ raise_exception('no') }}", "{{ messages[9].content }}", CHATML]
)
def test_a_template_that_refuses_comes_to_its_end(source: str) -> None:
    """Why it refuses is told elsewhere."""
    assert comes_to_an_end(source)


def test_large_numbers_are_no_widths() -> None:
    """Times and limits, as they stand in calls of tools; and arguments may be called as they like."""
    source = (
        "{% macro f(x, context='') %}{{ x }}{{ context }}{% endmacro %}{{ f(1721952000, context='q') }} "
        "{{ namespace(best=2147483647, context=1).best }} "
        "{{ '%d' % 1721952000 }} {{ '%d'|format(1721952000) }} "
        "{{ {'a': 1}|tojson(indent=2) }}"
    )
    assert render(source, []).split() == [
        "1721952000q",
        "2147483647",
        "1721952000",
        "1721952000",
        "{",
        '"a":',
        "1",
        "}",
    ]


def test_the_turns_of_a_long_conversation_account_for_their_steps() -> None:
    """A template may go through all of it several times."""
    turns = [{"role": "user", "content": "x"}] * MOST_STEPS
    assert (
        len(render("{% for turn in messages %}{{ turn.content }}{% endfor %}" * 3, turns)) == 3 * MOST_STEPS
    )


@pytest.mark.slow
def test_a_model_with_an_endless_template_is_refused(tmp_path: Path) -> None:
    """In one sentence that names its folder, and by the data check too."""
    project = tiny_project(tmp_path)
    settings = project.model_dir("") / "tokenizer_config.json"
    known = json.loads(settings.read_text())
    settings.write_text(json.dumps({**known, "chat_template": ENDLESS["loops"]}))
    with pytest.raises(
        UserError, match=r"tiny/tokenizer_config.json cannot be used: it does not come to an end"
    ):
        load_tokenizer(project.model_dir(""))
    settings.write_text(
        json.dumps({**known, "chat_template": "{% if messages %}" + ENDLESS["loops"] + "{% endif %}"})
    )
    (fault,) = check_data(project, TrainingConfig()).model_faults
    assert "tokenizer_config.json cannot be used: it does not come to an end" in fault.message


def test_a_pattern_that_gives_up_is_a_refusal(tmp_path: Path) -> None:
    """The panic of a library in Rust is no `Exception`; the row that it gave up at is in the data."""
    project = tiny_project(tmp_path)
    path = project.model_dir("") / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    split = {"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Isolated", "invert": False}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, tokenizer["pre_tokenizer"]]}
    path.write_text(json.dumps(tokenizer))
    write_rows(project.train_file, [*pairs(3), {"prompt": "x" * 400, "completion": "b"}])
    (fault,) = check_data(project, TrainingConfig()).train.faults
    assert "broke off in the model's tokenizer: Onig: Regex search error" in fault.message


def test_requests_to_end_pass() -> None:
    """Only what is neither an exception nor a request to end is a panic."""
    for error in (KeyboardInterrupt, SystemExit, GeneratorExit, ValueError):
        with pytest.raises(error), refused_panics("Loading it"):
            raise error
    broken_off = "Loading it broke off in the model's tokenizer: gone; "
    with pytest.raises(UserError, match=broken_off), refused_panics("Loading it"):
        raise BaseException("gone")
    assert render(CHATML, [{"role": "user", "content": "é"}]) == "<|im_start|>user\né<|im_end|>\n"


def test_what_imports_took_is_not_the_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyTorch is installed the child has computed for longer than a template may before it begins."""
    limits = {}
    spent = SimpleNamespace(ru_utime=30.5, ru_stime=2.0)
    monkeypatch.setattr("resource.getrusage", lambda _who: spent)
    monkeypatch.setattr("resource.setrlimit", lambda kind, values: limits.update({kind: values[0]}))
    _limit()
    assert limits[resource.RLIMIT_CPU] > 33
