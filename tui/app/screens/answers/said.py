"""What is said around the answers: why there are none, what they cost, what the marks mean."""

from engine.i18n import _, ngettext
from engine.training.answers import MOST_QUESTIONS, Answer
from engine.units import duration
from tui.app.screens.answers.look import AnswersLook, Compared
from tui.app.screens.answers.timeline import SAME
from tui.app.screens.data.pair_row import CLOSE, OPEN

from textual.content import Content


def why_none(found: AnswersLook, is_training: bool, is_over: bool) -> str:
    """Say why there is no answer, and how to get some.

    Args:
        found: what is known of the answers.
        is_training: whether the run is being made.
        is_over: whether it was made to its end.
    """
    if found.problem:
        return _("The answers of this run cannot be read.")
    if not found.percent:
        return _("answers_percent is 0, so nothing is asked; set it to 5 on the Profile screen.")
    if not found.asked:
        return _(
            "No question is asked yet: write one question a line into data/prompts.txt, and each "
            "validation of a run answers them, beside what the base model answers."
        )
    if is_training and found.percent < 100:
        text = _("No answer yet: they come with the validations, once {percent:g} % of the time allow one.")
        return text.format(percent=found.percent)
    if is_over and found.percent < 100:
        text = _(
            "This run kept no answers: {percent:g} % of its time (answers_percent) allowed none, "
            "or there was no question then."
        )
        return text.format(percent=found.percent)
    return _("No answer yet: a run answers the questions of data/prompts.txt at each validation.")


def cost_words(found: AnswersLook) -> str:
    """Say what answers took of the training time, and what was allowed."""
    answers = found.answers
    text = _("Answering took {spent}, {share:.1f} % of the training time").format(
        spent=duration(answers.spent_s),
        share=100 * min(1.0, answers.spent_s / answers.elapsed_s) if answers.elapsed_s else 0,
    )
    if found.percent < 100:
        text += _("; answers_percent allows {percent:g}").format(percent=found.percent)
    if answers.unreadable:
        text += ngettext(
            "; {count:,} line of the file is no answer",
            "; {count:,} lines of the file are no answers",
            answers.unreadable,
        ).format(count=answers.unreadable)
    return f"{text}."


def followed_words(found: AnswersLook) -> str:
    """Say why not each question of prompts.txt is followed, and how others are; empty where all are."""
    total, followed = len(found.asked), found.followed
    if followed >= total:
        return ""
    if followed >= MOST_QUESTIONS:
        why = _("no run asks more; the first lines of the file are asked")
    elif found.has_no_time:
        why = _("the first ones, as time allows: put others first, or raise answers_percent")
    else:
        why = _("the last validation did not come to the others, or they are too long")
    text = ngettext(
        "{followed:,} of the {total:,} questions of prompts.txt is followed",
        "{followed:,} of the {total:,} questions of prompts.txt are followed",
        followed,
    )
    return f" {text.format(followed=followed, total=total)}: {why}."


def legend(compared: Compared | None, steps: tuple[Answer, ...]) -> Content:
    """Explain the marks that are there."""
    parts = []
    if compared and any(part.differs for part in (*compared.now, *compared.before)):
        changed = Content.styled(f"{OPEN}{_('changed')}{CLOSE}", "bold underline $warning")
        parts.append(changed.append(Content.styled(" " + _("since the answer before"), "$muted")))
    if len(steps) > 1:
        parts.append(Content.styled(SAME + " " + _("the same as before"), "$muted"))
    return Content("   ").join(parts)
