"""Pages of task types, of their courses and admissions, and of people with what they have to do."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from services.ledger import courses
from services.ledger.accounts import Role
from services.ledger.workitems import Purpose, Slot
from services.review import course, listing, opening, qualification, reliability, words
from services.review.people import AccountName, Expert, Lead, Text, leads, person, refusals
from services.review.tasks import find_task
from services.triage.site import SiteDependency, audit

router = APIRouter(include_in_schema=False, prefix="/review")


@router.get("/workload")
def show_workload(request: Request, site: SiteDependency, account: Lead) -> Response:
    tasks = opening.tasks_of(site.context)
    with site.connection() as connection:
        loads = listing.workload(connection, tasks, site.context.now())
        audit(connection, request, "workload", account)
    return site.render(
        request,
        "workload.html",
        loads=loads,
        tasks=tasks,
        words=words,
        slots=tuple(Slot)[:4],
        today=site.context.now().date(),
    )


@router.get("/tasks/{task}")
def show_task(request: Request, site: SiteDependency, account: Expert, task: str) -> Response:
    """A task type: its rules, one's own training and test, and how well its readers agree."""
    is_lead = leads(account)
    with refusals(), site.connection() as connection:
        found = find_task(opening.tasks_of(site.context), task)
        progress = course.progress(site.context, connection, account, found)
        references = courses.references(connection, found.name)
        admissions = [each for each in courses.admissions(connection) if each.task == task]
        people = courses.list_people(connection)
        agreement = reliability.of_task(connection, found) if is_lead else {}
    return site.render(
        request,
        "task.html",
        task=found,
        progress=progress,
        is_annotator=Role.ANNOTATOR in account.roles,
        is_lead=is_lead,
        reliability=agreement,
        training_cases=sum(each.purpose is Purpose.TRAINING for each in references),
        test_cases=sum(each.purpose is Purpose.TEST for each in references),
        admissions=admissions,
        others=[each for each in people if each.name != account.name],
    )


@router.post("/tasks/{task}/course")
def begin_course(request: Request, site: SiteDependency, account: Expert, task: str) -> Response:
    with refusals():
        course.begin(site.context, account, find_task(opening.tasks_of(site.context), task))
    with site.connection() as connection:
        audit(connection, request, "course begun", account)
    return RedirectResponse(f"/review/tasks/{task}", status_code=303)


@router.post("/tasks/{task}/admissions")
def admit(
    request: Request,
    site: SiteDependency,
    account: Lead,
    task: str,
    name: AccountName,
    reason: Text,
    passed: Annotated[bool, Form()] = False,
) -> Response:
    with refusals():
        qualification.admit(site.context, account, person(site, name), task, passed=passed, reason=reason)
    with site.connection() as connection:
        audit(connection, request, "admission", account)
    return RedirectResponse(f"/review/tasks/{task}", status_code=303)


@router.post("/people/{name}/experience")
def record_experience(
    request: Request, site: SiteDependency, account: Lead, name: str, since: Annotated[date, Form()]
) -> Response:
    with refusals():
        qualification.record_experience(site.context, account, person(site, name), since)
    with site.connection() as connection:
        audit(connection, request, "experience recorded", account)
    return RedirectResponse("/review/workload", status_code=303)
