"""docs/carriers.md, made of the provider files: a row per carrier, what works, what does not, as of when."""

from collections.abc import Iterator, Sequence

from trunkline.providers import Kind, Provider, Registration, providers

HEAD = """# Carriers and PBXs

Made from `trunkline/providers/*.toml` by `python -m trunkline providers`; [add a carrier](recipes/add-a-carrier.md).
"?" means that no source was found that says so: nothing here is guessed, and nothing was tried against a carrier.
Address lists age. A trunk keeps the list it was given; warnings, `setupSheet` and `provider(key:) { asOf inboundIps }`
tell when another one is known.

`createSipTrunk(input: { provider: "KEY" … })` fills in what is left out and warns about what differs.
"""
COLUMNS = ("carrier", "key", "works with LiveKit alone", "AUTH inbound", "transports", "formats", "addresses", "as of")


def page() -> str:
    """The whole page."""
    found = list(providers().values())
    parts = [HEAD]
    for title, kind in (("Carriers", Kind.CARRIER), ("Your own PBX", Kind.PBX)):
        parts += [f"## {title}\n", _table([each for each in found if each.kind is kind])]
    parts.append("## Notes and sources\n")
    parts += ["\n".join(_about(each)) + "\n" for each in found]
    return "\n".join(parts)


def _table(rows: Sequence[Provider]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_row(each) for each in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _row(provider: Provider) -> tuple[str, ...]:
    outbound, inbound = provider.outbound, provider.inbound
    known = inbound.ranges
    return (
        provider.name,
        f"`{provider.key}`",
        _works(provider),
        "?" if inbound.answers_digest is None else "yes" if inbound.answers_digest else "no",
        ", ".join(outbound.transports) if outbound.transports else "?",
        ", ".join(outbound.calling_formats) if outbound.calling_formats else "?",
        f"{len(known)}{', by region' if inbound.ranges_are_regional else ''}" if known else "?",
        f"{provider.as_of} ({provider.confidence.lower().replace('_', ' ')})",
    )


def _works(provider: Provider) -> str:
    match provider.registration:
        case Registration.NONE:
            return "inbound only" if provider.outbound.refused else "yes"
        case Registration.INBOUND:
            return "outbound only"
        case Registration.ALWAYS:
            return "no: it wants REGISTER"
        case _:
            return "?"


def _about(provider: Provider) -> Iterator[str]:
    yield f"### {provider.name}\n"
    yield f"Console: {provider.console}.\n"
    if provider.outbound.hosts:
        yield f"Hosts: {', '.join(f'`{host}`' for host in provider.outbound.hosts)}.\n"
    if provider.inbound.ranges:
        yield f"Calls come from: {', '.join(f'`{network}`' for network in provider.inbound.ranges)}.\n"
    yield from (f"- {note}" for note in provider.notes)
    yield ""
    yield "Sources:\n"
    for source in provider.sources:
        told = "".join([f", {source.dated}" if source.dated else "", f" (for {source.about})" if source.about else ""])
        yield f"- {source.where}{told}"
