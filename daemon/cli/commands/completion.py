"""Shell completion: the script for a shell, and the completion of node keys."""

from typing import Final, Literal, TypeAlias

import click
from click.shell_completion import CompletionItem, get_completion_class

from crdt.errors import FractalityError
from daemon.cli.session import default_home
from daemon.cli.shapes import items, label_of
from daemon.client import connect

_PATIENCE_SECONDS: Final = 0.5
_OFFERED: Final = 50

Shell: TypeAlias = Literal["bash", "zsh", "fish"]
_INSTALLING: Final[dict[Shell, str]] = {
    "bash": "fractality completion bash"
    " > ~/.local/share/bash-completion/completions/fractality",
    "zsh": "fractality completion zsh > ~/.zfunc/_fractality"
    "   # a folder of your fpath, before compinit",
    "fish": "fractality completion fish > ~/.config/fish/completions/fractality.fish",
}


@click.command(short_help="Completion of commands and keys for your shell.")
@click.argument("shell", type=click.Choice(sorted(_INSTALLING)))
def completion(shell: Shell) -> None:
    """Print the completion script for SHELL; its last lines say where it belongs."""
    script = get_completion_class(shell)(
        click.get_current_context().find_root().command,
        {},
        "fractality",
        "_FRACTALITY_COMPLETE",
    )
    click.echo((script.source_template % script.source_vars()).strip())
    click.echo("\n# To install this once and for all (then open a new shell):")
    click.echo(f"#   {_INSTALLING[shell]}")


class NodeKey(click.ParamType[str]):
    """The key of a node; the running daemon completes it."""

    name = "key"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Return the nodes whose keys begin so: none if no daemon answers at once."""
        home = ctx.find_root().params.get("home") or default_home()
        try:
            client = connect(home, _PATIENCE_SECONDS)
            found = client.get("/v1/nodes", {"prefix": incomplete, "limit": _OFFERED})
        except (FractalityError, OSError):
            return []
        return [
            CompletionItem(node["key"], help=label_of(node)) for node in items(found)
        ]


NODE_KEY: Final = NodeKey()
