"""The one exception for mistakes a user can make and mend."""


class UserError(Exception):
    """A refusal in one sentence: what is wrong and where, then how to fix it.

    The command line prints it on stderr and exits with 1; the app shows it on
    the screen that asked. Anything else that is raised is a defect.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        self.problem = problem.rstrip(".")
        """What is wrong and where (file, line, field), without a full stop."""
        self.fix = fix.rstrip(".")
        """What the user can do about it, as an imperative."""
        super().__init__(f"{self.problem}; {self.fix}." if self.fix else f"{self.problem}.")
