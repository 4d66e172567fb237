"""Options whose number is typed as the user's language writes decimals; Typer knows only the point."""

from typing import Any

from engine.errors import WrongUsage
from engine.i18n import number

import typer


def decimal_option(name: str, least: float, most: float, text: str) -> Any:
    """Return an option that takes a number; one that cannot be read or is out of range is wrong usage.

    Args:
        name: of the option, such as `--temperature`.
        least: what it takes at least.
        most: what it takes at most.
        text: its help.
    """

    def read(value: str | float) -> float:
        from engine.values import refusal, typed

        from pydantic import Field, ValidationError, create_model

        field = Field(ge=least, le=most, allow_inf_nan=False, title=name, description=text)
        one = create_model("One", value=(float, field))
        try:
            found = one.model_validate(typed({"value": value}, one.model_fields))
        except ValidationError as error:
            wrong = refusal(error, one.model_fields)
            raise WrongUsage(wrong.problem, wrong.fix) from None
        return float(found.value)  # type: ignore[attr-defined]

    return typer.Option(name, parser=read, metavar=f"{number(least, 'g')}..{number(most, 'g')}", help=text)
