"""Where each module is tested: in the file of its name in the mirrored folder, or where this table says.

`core/stores/codec.py` is tested in `tests/stores/test_codec.py`, `workers/pool.py` in `tests/workers/test_pool.py`,
`pages/components/display/text.py` in `tests/pages/display/test_text.py`. A page has the file of its name in
`tests/pages`; faces and what may import what are in `tests/test_architecture.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ELSEWHERE = {
    "core/__main__.py": "tests/cli/test_commands.py",
    "core/access/audit_records.py": "tests/access/test_audit.py",
    "core/bans/names.py": "tests/bans/test_book.py",
    "core/cache/call.py": "tests/cache/test_cache.py",
    "core/cache/config.py": "tests/cache/test_cache.py",
    "core/cache/effects.py": "tests/cache/test_drivers.py",
    "core/cache/flights.py": "tests/cache/test_singleflight.py",
    "core/cache/guard.py": "tests/cache/test_cache.py",
    "core/cache/hedging.py": "tests/semantic/test_hedging.py",
    "core/cache/near.py": "tests/semantic/test_hedging.py",
    "core/cache/reader.py": "tests/cache/test_cache.py",
    "core/cache/recorder.py": "tests/cache/test_cache.py",
    "core/cache/steps.py": "tests/cache/test_cache.py",
    "core/cache/streams.py": "tests/http/test_streams.py",
    "core/cache/writer.py": "tests/cache/test_cache.py",
    "core/cli/audit.py": "tests/cli/test_commands.py",
    "core/cli/bypass.py": "tests/cache/test_bypass.py",
    "core/cli/evaluate.py": "tests/evaluation/test_eval_command.py",
    "core/cli/calibrate.py": "tests/semantic/test_calibrate_command.py",
    "core/cli/formats.py": "tests/cli/test_commands.py",
    "core/cli/clean.py": "tests/cli/test_commands.py",
    "core/cli/inspect.py": "tests/cli/test_commands.py",
    "core/cli/invalidations.py": "tests/cli/test_commands.py",
    "core/cli/keys.py": "tests/operations/test_admission.py",
    "core/cli/questions.py": "tests/cli/test_commands.py",
    "core/cli/requests.py": "tests/cli/test_commands.py",
    "core/cli/replay.py": "tests/cli/test_commands.py",
    "core/cli/savings.py": "tests/cli/test_commands.py",
    "core/cli/shell.py": "tests/cli/test_commands.py",
    "core/concurrency/outbox.py": "tests/semantic/quality/test_evidence.py",
    "core/concurrency/processes.py": "tests/test_launcher.py",
    "core/concurrency/threads.py": "tests/semantic/test_hedging.py",
    "core/demo/answers.py": "tests/providers/test_providers.py",
    "core/demo/arithmetic.py": "tests/providers/test_providers.py",
    "core/demo/judge.py": "tests/providers/test_providers.py",
    "core/demo/model.py": "tests/providers/test_providers.py",
    "core/demo/units.py": "tests/providers/test_providers.py",
    "core/demo/vectors.py": "tests/providers/test_providers.py",
    "core/doctor/findings.py": "tests/doctor/test_diagnosis.py",
    "core/doctor/probe.py": "tests/doctor/test_provider.py",
    "core/configuration.py": "tests/test_bootstrap.py",
    "core/entries/expiry.py": "tests/entries/test_pins.py",
    "core/entries/imports.py": "tests/entries/test_edits.py",
    "core/entries/seeding.py": "tests/semantic/test_seeding.py",
    "core/errors.py": "tests/cli/test_commands.py",
    "core/http/__main__.py": "tests/http/test_process.py",
    "core/http/driver.py": "tests/http/test_transport.py",
    "core/http/exchange.py": "tests/http/test_transport.py",
    "core/http/reply.py": "tests/http/test_transport.py",
    "core/http/server.py": "tests/http/test_process.py",
    "core/operations/app.py": "tests/operations/test_document.py",
    "core/operations/operators.py": "tests/operations/test_admission.py",
    "core/operations/problems.py": "tests/operations/test_admission.py",
    "core/operations/rates.py": "tests/operations/test_admission.py",
    "core/policy/matching.py": "tests/policy/test_ttl.py",
    "core/policy/rules.py": "tests/policy/test_ttl.py",
    "core/invalidation/plan.py": "tests/invalidation/test_succession.py",
    "core/invalidation/shortcuts.py": "tests/invalidation/test_invalidator.py",
    "core/invalidation/whole.py": "tests/invalidation/test_everywhere.py",
    "core/invalidation/telling.py": "tests/invalidation/test_history.py",
    "core/invalidation/filter.py": "tests/operations/test_invalidations.py",
    "core/invalidation/plain.py": "tests/operations/test_invalidations.py",
    "core/keys/names.py": "tests/keys/test_identity.py",
    "core/keys/parts.py": "tests/entries/test_explanation.py",
    "core/keys/phrases.py": "tests/keys/test_plain.py",
    "core/lazy.py": "tests/test_architecture.py",
    "core/metrics/summary.py": "tests/metrics/test_cache_metrics.py",
    "core/providers/base.py": "tests/providers/test_providers.py",
    "core/providers/openai.py": "tests/providers/test_providers.py",
    "core/semantic/assembly.py": "tests/semantic/test_bootstrap.py",
    "core/semantic/config.py": "tests/semantic/test_bootstrap.py",
    "core/semantic/embedding/local_models.py": "tests/semantic/embedding/test_embedders.py",
    "core/semantic/guards/data.py": "tests/semantic/guards/test_languages.py",
    "core/semantic/guards/language.py": "tests/semantic/guards/test_languages.py",
    "core/semantic/guards/numbers.py": "tests/semantic/guards/test_checks.py",
    "core/semantic/guards/stems.py": "tests/semantic/guards/test_checks.py",
    "core/semantic/guards/tokens.py": "tests/semantic/guards/test_checks.py",
    "core/semantic/guards/wording.py": "tests/semantic/guards/test_checks.py",
    "core/semantic/index/blas.py": "tests/semantic/index/test_numpy_index.py",
    "core/semantic/index/matrix.py": "tests/semantic/index/test_numpy_index.py",
    "core/semantic/index/vector_sets.py": "tests/semantic/index/test_numpy_index.py",
    "core/semantic/quality/archive.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/defaults.py": "tests/semantic/quality/test_thresholds.py",
    "core/semantic/quality/bounds.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/journal.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/notes.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/records.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/rejected_pairs.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/report.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/sample_queue.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/sampling.py": "tests/semantic/quality/test_evidence.py",
    "core/semantic/quality/threshold.py": "tests/semantic/quality/test_thresholds.py",
    "core/semantic/questions/question_map.py": "tests/semantic/questions/test_making.py",
    "core/semantic/results.py": "tests/semantic/test_lookup.py",
    "core/settings/access.py": "tests/settings/test_settings.py",
    "core/settings/cache.py": "tests/settings/test_settings.py",
    "core/settings/fields.py": "tests/settings/test_settings.py",
    "core/settings/gateway.py": "tests/settings/test_settings.py",
    "core/settings/operation.py": "tests/settings/test_settings.py",
    "core/settings/provider.py": "tests/settings/test_settings.py",
    "core/settings/semantic.py": "tests/settings/test_settings.py",
    "core/settings/servers.py": "tests/settings/test_settings.py",
    "core/stores/base.py": "tests/stores/test_contract.py",
    "core/stores/memory_records.py": "tests/stores/test_contract.py",
    "core/stores/memory_aside.py": "tests/stores/test_aside.py",
    "core/stores/redis/clients.py": "tests/stores/redis/test_address.py",
    "core/stores/redis/failures.py": "tests/stores/redis/test_unanswered.py",
    "core/stores/redis/index.py": "tests/stores/test_contract.py",
    "core/stores/redis/info.py": "tests/stores/test_contract.py",
    "core/stores/redis/servers.py": "tests/stores/test_contract.py",
    "core/wire/forms.py": "tests/http/test_collector.py",
    "core/wire/shapes.py": "tests/border/test_shapes.py",
    "pages/components/data/semantic.py": "tests/pages/data/test_queries.py",
    "pages/components/dashboard/breakdowns.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/changed.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/charts.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/marks.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/panels.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/series_table.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/tables.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/tiles.py": "tests/pages/test_dashboard.py",
    "pages/components/dashboard/waiting.py": "tests/pages/test_dashboard.py",
    "pages/components/data/everywhere.py": "tests/pages/test_entries.py",
    "pages/components/entries/everywhere.py": "tests/pages/test_entries.py",
    "pages/components/entries/searching.py": "tests/pages/test_entries.py",
    "pages/components/quality/everywhere.py": "tests/pages/test_quality.py",
    "pages/components/data/actions.py": "tests/pages/test_invalidations.py",
    "pages/components/data/changes.py": "tests/pages/test_dashboard.py",
    "pages/components/data/context.py": "tests/pages/data/test_readings.py",
    "pages/components/data/entry_filters.py": "tests/pages/test_entries.py",
    "pages/components/data/held.py": "tests/pages/test_requests.py",
    "pages/components/data/marks.py": "tests/pages/dashboard/test_marking.py",
    "pages/components/data/parameters.py": "tests/pages/test_drilling.py",
    "pages/components/data/series.py": "tests/pages/test_dashboard.py",
    "pages/components/data/view.py": "tests/pages/test_dashboard.py",
    "pages/components/display/charts.py": "tests/pages/display/test_chart_cache.py",
    "pages/components/display/figures.py": "tests/text/test_figures.py",
    "pages/components/display/invalidation_states.py": "tests/pages/test_invalidations.py",
    "pages/components/display/links.py": "tests/pages/test_drilling.py",
    "pages/components/display/placeholder.py": "tests/pages/test_dashboard.py",
    "pages/components/display/tiles.py": "tests/pages/test_dashboard.py",
    "pages/components/entries/detail.py": "tests/pages/test_entries.py",
    "pages/components/entries/filters.py": "tests/pages/test_entries.py",
    "pages/components/entries/intake.py": "tests/pages/test_entries.py",
    "pages/components/entries/listing.py": "tests/pages/test_entries.py",
    "pages/components/entries/recipients.py": "tests/pages/test_entries.py",
    "pages/components/entries/relations.py": "tests/pages/test_entries.py",
    "pages/components/entries/states.py": "tests/pages/test_entries.py",
    "pages/components/entries/tables.py": "tests/pages/test_entries.py",
    "pages/components/entries/tags.py": "tests/pages/test_entries.py",
    "pages/components/entries/correcting.py": "tests/pages/test_entries.py",
    "pages/components/entries/elsewhere.py": "tests/pages/test_entries.py",
    "pages/components/shell/next_steps.py": "tests/pages/test_entries.py",
    "pages/components/invalidations/active.py": "tests/pages/test_invalidations.py",
    "pages/components/invalidations/apply.py": "tests/pages/test_invalidations.py",
    "pages/components/invalidations/ending.py": "tests/pages/test_invalidations.py",
    "pages/components/invalidations/history.py": "tests/pages/test_invalidations.py",
    "pages/components/invalidations/linked.py": "tests/pages/test_invalidations.py",
    "pages/components/invalidations/preview.py": "tests/pages/test_invalidations.py",
    "pages/components/invalidations/tables.py": "tests/pages/test_invalidations.py",
    "pages/components/playground/comparison.py": "tests/pages/test_playground.py",
    "pages/components/playground/controls.py": "tests/pages/test_playground.py",
    "pages/components/playground/conversation.py": "tests/pages/test_playground.py",
    "pages/components/playground/decision.py": "tests/pages/test_playground.py",
    "pages/components/playground/sending.py": "tests/pages/test_playground.py",
    "pages/components/playground/tables.py": "tests/pages/test_playground.py",
    "pages/components/playground/transcript.py": "tests/pages/test_playground.py",
    "pages/components/playground/transcript_menu.py": "tests/pages/test_playground.py",
    "pages/components/playground/verdict.py": "tests/pages/test_playground.py",
    "pages/components/quality/bound.py": "tests/pages/test_quality.py",
    "pages/components/quality/charts.py": "tests/pages/test_quality.py",
    "pages/components/quality/lab.py": "tests/pages/test_quality.py",
    "pages/components/quality/mode.py": "tests/pages/test_quality.py",
    "pages/components/quality/publish.py": "tests/pages/test_quality.py",
    "pages/components/quality/report.py": "tests/pages/test_quality.py",
    "pages/components/quality/review.py": "tests/pages/test_quality.py",
    "pages/components/quality/tables.py": "tests/pages/test_quality.py",
    "pages/components/questions/controls.py": "tests/pages/test_questions.py",
    "pages/components/questions/groups.py": "tests/pages/test_questions.py",
    "pages/components/questions/leading.py": "tests/pages/test_questions.py",
    "pages/components/questions/question_map.py": "tests/pages/test_questions.py",
    "pages/components/questions/tables.py": "tests/pages/test_questions.py",
    "pages/components/questions/tiles.py": "tests/pages/test_questions.py",
    "pages/components/savings/charts.py": "tests/pages/test_savings.py",
    "pages/components/savings/controls.py": "tests/pages/test_savings.py",
    "pages/components/savings/names.py": "tests/pages/test_savings.py",
    "pages/components/savings/printing.py": "tests/e2e/test_pictures.py",
    "pages/components/savings/sheet.py": "tests/pages/test_savings.py",
    "pages/components/savings/tables.py": "tests/pages/test_savings.py",
    "pages/components/schedules/card.py": "tests/pages/test_schedules.py",
    "pages/components/schedules/dialogs.py": "tests/pages/test_schedules.py",
    "pages/components/schedules/form.py": "tests/pages/test_schedules.py",
    "pages/components/schedules/tables.py": "tests/pages/test_schedules.py",
    "pages/components/shell/alert_banner.py": "tests/pages/test_dashboard.py",
    "pages/components/shell/bypass_switch.py": "tests/cache/test_bypass.py",
    "pages/components/shell/confirmation.py": "tests/pages/test_invalidations.py",
    "pages/components/shell/job_card.py": "tests/pages/test_workers.py",
    "pages/components/shell/login.py": "tests/e2e/test_login.py",
    "pages/components/shell/neighbours.py": "tests/pages/test_entries.py",
    "pages/components/shell/notices.py": "tests/pages/shell/test_frame.py",
    "pages/components/shell/permissions.py": "tests/pages/test_roles.py",
    "pages/components/shell/view_controls.py": "tests/pages/test_dashboard.py",
    "workers/queue/reader.py": "tests/workers/test_queue.py",
    "workers/__main__.py": "tests/workers/test_pool.py",
    "workers/queue/job.py": "tests/workers/test_pool.py",
    "workers/queue/jobs.py": "tests/workers/test_queue.py",
    "workers/queue/records.py": "tests/workers/test_queue.py",
    "workers/queue/views.py": "tests/workers/test_queue.py",
    "workers/queue/worker.py": "tests/workers/test_pool.py",
    "workers/tasks.py": "tests/workers/test_queue.py",
}
"""Modules without a test file of their name, and the file that tests them."""

MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("core", "workers", "pages/components")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__init__.py"
)


def mirrored(module: Path) -> Path:
    """The test file of a module's name: `core` and `components` are left out of its path."""
    layer, *folders, name = module.parts
    if layer == "core":
        layer = ""
    return Path("tests", layer, *(folder for folder in folders if folder != "components"), f"test_{name}")


def problem(module: Path, elsewhere: dict[str, str]) -> str | None:
    """What is wrong with the place where a module is tested."""
    own = mirrored(module)
    line = elsewhere.get(module.as_posix())
    if (ROOT / own).exists():
        return f"{own} exists: take its line out of the table" if line else None
    if line is None:
        return f"write {own}, or say in the table where it is tested"
    return None if (ROOT / line).exists() else f"{line} does not exist"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_is_tested_in_a_file_of_its_name_or_where_the_table_says(module):
    assert problem(module, ELSEWHERE) is None


def test_the_table_names_no_module_that_has_gone():
    assert set(ELSEWHERE) <= {module.as_posix() for module in MODULES}


def test_the_check_sees_each_of_its_problems():
    codec, criteria = Path("core/stores/codec.py"), Path("core/bans/criteria.py")
    assert "take its line out" in (problem(codec, {codec.as_posix(): "tests/test_models.py"}) or "")
    assert "say in the table" in (problem(Path("core/nowhere.py"), {}) or "")
    assert "does not exist" in (problem(Path("core/nowhere.py"), {"core/nowhere.py": "tests/test_nowhere.py"}) or "")
    assert mirrored(criteria) == Path("tests/bans/test_criteria.py")
    assert mirrored(Path("pages/components/display/text.py")) == Path("tests/pages/display/test_text.py")
