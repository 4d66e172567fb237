"""A bare app with the look of ours, for tests of single widgets."""

from tui.app.theme import THEME, teach

from textual.app import App


class ThemedApp(App[None]):
    """Knows our colours."""

    def __init__(self) -> None:
        super().__init__()
        self.register_theme(THEME)
        self.theme = THEME.name
        teach(self.console, self.theme_variables)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return THEME.variables
