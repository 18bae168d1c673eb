"""The step of a validation that compares the adapter with every base that the hub knows."""

from dovetail.adapters.files import config as configs
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.adapters.formats.places import within
from dovetail.adapters.results.report import Report
from registry.models import Revision
from registry.proof import fit
from registry.repos import pull
from registry.repos.contents import facts
from registry.repos.derived import DerivedEntry
from workers.engines import base_shapes
from workers.validation.laying_out import LaidOut


def survey(laid_out: LaidOut, report: Report) -> Report:
    """Return the report with the known bases that the adapter fits."""
    stated = configs.names(dict(laid_out.job.card), "base_model")
    base_shapes.measure_named([*stated, *([laid_out.base.id] if laid_out.base else [])])
    answers = fit.survey_files(within(laid_out.files, laid_out.places[0]))
    return fit.with_fits(report, answers, stated)


def survey_derived(revision: Revision, report: Report) -> Report:
    """Return the report with the bases that the derived safetensors fit, if the pushed files could not be surveyed."""
    entries = pull.served_entries(revision)
    if report.fits is not None or not isinstance(entries.get(WEIGHTS), DerivedEntry):
        return report
    names = configs.names(dict(facts.read_facts(entries).card.data), "base_model")
    return fit.with_fits(report, fit.survey_files(facts.file_openers(entries)), names)
