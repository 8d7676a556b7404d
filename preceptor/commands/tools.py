"""`preceptor tools`: list the plug-ins, make a tool, call one by itself."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from preceptor.commands.opening import AsJson, BookId, Env, of_book
from preceptor.settings import Settings, load_settings

app = typer.Typer(
    help="List the tools that tutors may call, make one, or call one.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def listed(context: typer.Context, env: Env = None, as_json: AsJson = False) -> None:
    """List the plug-ins that are installed or named in the settings: what each gives, and what is wrong with it.

    A package that `tools.enabled` does not name is listed and not imported. Exit code 1 when a plug-in is faulty.
    """
    if context.invoked_subcommand is not None:
        return
    from preceptor.tools.report import listing, listing_text

    found = asyncio.run(listing(load_settings(env)))
    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else listing_text(found))
    if any(plugin["state"] == "faulty" for plugin in found):
        raise typer.Exit(1)


@app.command("new")
def new_tool(
    name: Annotated[str, typer.Argument(help="Name of the tool, such as `define`.")],
    package: Annotated[
        bool, typer.Option("--package", help="Make a package with an entry point; default: one file.")
    ] = False,
) -> None:
    """Make a tool that works, with its test, in this folder.

    Example: `preceptor tools new define`
    """
    from preceptor.tools.scaffold import new_tool as make

    for file in make(name, Path.cwd(), package=package):
        typer.echo(file.relative_to(Path.cwd()))
    how = f'enabled = [..., "{name}"]' if package else f'plugins = ["{name}.py"]'
    typer.echo(f"Switch it on in settings.toml: [default.tools], {how}", err=True)


@app.command("call")
def call_tool(
    name: Annotated[str, typer.Argument(help="Name of the tool.")],
    arguments: Annotated[
        str, typer.Option("--json", help="Its arguments as a JSON object, as a model writes them.")
    ] = "{}",
    question: Annotated[str, typer.Option(help="The reader's question, which a tool may read.")] = "",
    book: BookId = None,
    env: Env = None,
) -> None:
    """Call one tool on the open book, as a model would; no provider and no key is needed.

    Prints JSON: the text for the model, the sources and the artifacts. Exit code 1 when the call failed.

    Example: `preceptor tools call search_textbook --json '{"query": "ROS 2"}' --env demo`
    """
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise typer.BadParameter(f"--json is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise typer.BadParameter('--json must be an object, such as {"query": "ROS 2"}')
    settings = of_book(load_settings(env, needs=("index",)), book)
    called = asyncio.run(_call_tool(settings, name, given, question))
    typer.echo(json.dumps(called, ensure_ascii=False, indent=2))
    if called["failed"]:
        raise typer.Exit(1)


async def _call_tool(
    settings: Settings, name: str, arguments: dict[str, Any], question: str
) -> dict[str, Any]:
    from preceptor.tools.call import call
    from preceptor.tools.report import open_tools

    async with open_tools(settings) as tools:
        return (await call(tools, name, arguments, question=question)).as_json()


@app.command("accept")
def accept_definitions(
    server: Annotated[str, typer.Argument(help="Name of an MCP server, as `tools.mcp` has it.")],
    env: Env = None,
) -> None:
    """Accept the definitions of an MCP server's tools as they are now, and print them.

    A model reads them: look for orders in a description before the service offers it.
    """
    settings = load_settings(env)
    if server not in settings.tools.mcp:
        raise typer.BadParameter(
            f"`tools.mcp` has no server `{server}`; it has: {', '.join(settings.tools.mcp)}"
        )
    typer.echo(json.dumps(asyncio.run(_accept(settings, server)), ensure_ascii=False, indent=2))


async def _accept(settings: Settings, server: str) -> list[dict[str, Any]]:
    from preceptor.tools.mcp_servers import definitions
    from preceptor.tools.report import open_tools

    async with open_tools(settings, needs_index=False, accept=server):
        return [dict(one) for one in await definitions(settings, server)]
