"""A contract for import-linter: a family may import what its list names, and nothing else of the package."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter.application import output
from importlinter.domain import fields
from importlinter.domain.contract import Contract, ContractCheck


class MayImportOnly(Contract):
    """Every direct import out of `source` goes to one of `allowed`, or below it; packages from outside don't count.

    A list of what is allowed holds for rooms that are built later, too; a list of what is forbidden does not.
    """

    source = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Looks at every import out of the source."""
        source, allowed = str(self.source), {str(name) for name in self.allowed}
        missing = sorted(name for name in {source, *allowed} if name not in graph.modules)
        inside = {source, *graph.find_descendants(source)} if not missing else set()
        root = source.partition(".")[0]
        wrong = sorted(
            (importer, imported)
            for importer in inside
            for imported in graph.find_modules_directly_imported_by(importer) - inside
            if imported.partition(".")[0] == root and not _below_any(imported, allowed)
        )
        return ContractCheck(kept=not (missing or wrong), metadata={"missing": missing, "wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for every import, with what would mend it."""
        for name in check.metadata["missing"]:
            output.print_error(f"{name} does not exist: take it out of the contract.")
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"{importer} imports {imported}, which is not on the list of {self.source}.")


def _below_any(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)
