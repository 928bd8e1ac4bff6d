//! The last words of a run: verdict, cause, what to do, where the evidence lies, what to type next.

use std::path::Path;

use crate::driver::Outcome;
use crate::machine::{Class, StageOutcome, StageReport, Verdict};
use crate::plan::{Evidence, Plan, StagePlan};
use crate::text::terminal_line;
use crate::units::human_span;
use crate::view::Ink;

use super::catalogue::explained_by;
use super::human::{QUOTE_CHARS_MAX, names_only_the_rule, place, sentence};
use super::image::image_lines;
use super::sheet::{Item, Rank, Sheet};

/// How much of what a rule says is shown, in characters.
const PARAGRAPH_CHARS_MAX: usize = 1200;
/// How much of a command or a path is shown, in characters.
const COMMAND_CHARS_MAX: usize = 4096;
/// How many stages are told one by one; of more, those that say something.
const STAGES_MAX: usize = 8;
/// The width of the table of stages, in columns.
const TABLE_COLUMNS: usize = 80;
/// How many of those that say something.
const TELLING_STAGES_MAX: usize = 5;

/// What is told beside the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The run's directory.
    pub run: &'a Path,
    /// Further lines with labels, such as where its bundle is.
    pub further: &'a str,
}

/// The last words of a run, in a log.
pub fn verdict_block(plan: &Plan, outcome: &Outcome, run: &Path) -> String {
    verdict_sheet(plan, outcome, &Told { run, further: "" }, Sheet::new(None))
}

/// The last words of a run: never more than a screen.
pub fn verdict_sheet(plan: &Plan, outcome: &Outcome, told: &Told<'_>, sheet: Sheet) -> String {
    let verdict = &outcome.verdict;
    let mut items = Items::default();
    let took = human_span(outcome.took);
    items.labelled(
        Rank::Answer,
        "Verdict:",
        &format!("{} ({took})", verdict.class.as_str()),
    );
    if let Some(answer) = items.all.last_mut() {
        answer.text_ink = ink_of(verdict.class);
    }
    if !matches!(verdict.class, Class::Passed | Class::Cancelled) {
        items.labelled(Rank::Stage, "", verdict.class.meaning());
    }
    if verdict.class != Class::Passed {
        cause(&mut items, plan, verdict);
    } else if !verdict.detail.is_empty() {
        // Each stage says below what it did not test.
        items.labelled(Rank::Cause, "But:", &sentence(&verdict.title));
    }
    items.is_narrow = sheet.columns() < TABLE_COLUMNS;
    stages(&mut items, &outcome.stages(plan).collect::<Vec<_>>());
    let mut image = String::new();
    image_lines(&mut image, plan, outcome);
    items.lines(Rank::Stage, &image);
    let run = terminal_line(told.run.display().to_string(), COMMAND_CHARS_MAX);
    items.whole(Rank::Answer, "Evidence: ", &run);
    items.lines(Rank::Answer, told.further);
    items.whole(Rank::Answer, "Next:     ", &format!("bootgate trace {run}"));
    if let Some(command) = explained_by(verdict.class.as_str(), &verdict.cause) {
        items.whole(Rank::Stage, "          ", &command);
    }
    sheet.show(&items.all)
}

fn ink_of(class: Class) -> Ink {
    match class {
        Class::Passed => Ink::Good,
        Class::KnownFailure | Class::Cancelled | Class::Untestable => Ink::Warn,
        Class::Failed | Class::Infrastructure | Class::Internal => Ink::Bad,
    }
}

#[derive(Default)]
struct Items {
    all: Vec<Item>,
    /// There is no room for the stages as a table.
    is_narrow: bool,
}

impl Items {
    fn push(&mut self, rank: Rank, label: &str, text: &str, ink: Ink) {
        self.all.push(Item {
            rank,
            label: label.to_owned(),
            ink,
            text: text.to_owned(),
            text_ink: Ink::Plain,
            is_whole: false,
        });
    }

    fn labelled(&mut self, rank: Rank, label: &str, text: &str) {
        self.push(rank, &format!("{label:<9} "), text, Ink::Bold);
    }

    /// A command or a path.
    fn whole(&mut self, rank: Rank, label: &str, text: &str) {
        self.all.push(Item {
            rank,
            label: label.to_owned(),
            ink: Ink::Bold,
            text: text.to_owned(),
            text_ink: Ink::Plain,
            is_whole: true,
        });
    }

    /// Lines that have their labels, ten columns wide, and may hold commands.
    fn lines(&mut self, rank: Rank, lines: &str) {
        for line in lines.lines() {
            let line = terminal_line(line, COMMAND_CHARS_MAX);
            let at = line.char_indices().nth(10).map_or(line.len(), |(at, _)| at);
            let (label, text) = line.split_at(at);
            if rank == Rank::Answer {
                self.whole(rank, label, text);
            } else {
                self.push(rank, label, text, Ink::Bold);
            }
        }
    }
}

/// Cause, root cause, place and remedy.
fn cause(items: &mut Items, plan: &Plan, verdict: &Verdict) {
    let paragraph = |text: &str| terminal_line(text, PARAGRAPH_CHARS_MAX);
    let title = format!("{}: {}", sentence(&verdict.cause), sentence(&verdict.title));
    items.labelled(Rank::Cause, "Cause:", &title);
    let rule_id = verdict.rule.as_ref().map(|rule| rule.id.as_str());
    if !verdict.detail.is_empty() && !names_only_the_rule(&verdict.detail, rule_id) {
        items.labelled(Rank::Proof, "", &sentence(&verdict.detail));
    }
    if let Some(rule) = &verdict.rule {
        items.labelled(Rank::Cause, "Why:", &paragraph(&rule.root_cause));
    }
    let stage = &plan.stages[verdict.stage].name;
    let state = verdict.state.name();
    items.labelled(Rank::Proof, "Where:", &format!("stage {stage}, state {state}"));
    for (index, evidence) in verdict.led_by.iter().chain(&verdict.evidence).enumerate() {
        // What decided comes last, and what led to it directly before.
        let rank = if index + 1 < verdict.led_by.len() {
            Rank::Aside
        } else {
            Rank::Proof
        };
        if let Some(quote) = &evidence.quote {
            let quote = terminal_line(quote, QUOTE_CHARS_MAX);
            items.labelled(rank, "", &format!("“{quote}”"));
        }
        if let Some(place) = place(evidence) {
            items.labelled(rank, "", &place);
        }
    }
    if !verdict.remedy.is_empty() {
        items.labelled(Rank::Cause, "Mend:", &paragraph(&verdict.remedy));
    }
    rule(items, verdict);
}

fn rule(items: &mut Items, verdict: &Verdict) {
    let Some(rule) = &verdict.rule else { return };
    let tracker = rule.tracker.as_ref();
    let tracker = tracker.map(|tracker| format!("; tracked at {}", sentence(tracker)));
    let known = format!("{}{}", sentence(&rule.id), tracker.unwrap_or_default());
    items.labelled(Rank::Proof, "Rule:", &known);
    if verdict.class == Class::KnownFailure {
        let until = rule.expires.as_deref().unwrap_or("further notice");
        let may = if rule.publishable {
            format!("yes: the image may be published in spite of this failure, until {until}")
        } else {
            format!("no: the image must not be published; the failure is known until {until}")
        };
        items.labelled(Rank::Cause, "Publish:", &may);
    }
}

/// The stages; of many, those that say something, and how the others ended.
fn stages(items: &mut Items, stages: &[(&StagePlan, &StageReport)]) {
    let says = |outcome| {
        matches!(
            outcome,
            StageOutcome::Failed | StageOutcome::Undecided | StageOutcome::NotTested
        )
    };
    if stages.len() <= STAGES_MAX {
        for (plan, report) in stages {
            stage(items, plan, report);
        }
        return;
    }
    let (telling, others): (Vec<_>, Vec<_>) = stages.iter().partition(|(_, report)| says(report.outcome));
    for (plan, report) in telling.iter().take(TELLING_STAGES_MAX) {
        stage(items, plan, report);
    }
    let rest = others.iter().chain(telling.iter().skip(TELLING_STAGES_MAX));
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for (_, report) in rest {
        let outcome = report.outcome.as_str();
        match counts.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, count)) => *count += 1,
            None => counts.push((outcome, 1)),
        }
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let besides = if telling.is_empty() { "stages" } else { "other stages" };
    items.push(
        Rank::Stage,
        "  … ",
        &format!("{besides}: {}", counts.join(", ")),
        Ink::Dim,
    );
}

fn stage(items: &mut Items, stage: &StagePlan, report: &StageReport) {
    let reached = report.reached.map_or("nothing", Evidence::as_str);
    let took = report
        .began
        .zip(report.ended)
        .map(|(began, ended)| human_span(ended.duration_since(began)));
    let (mark, ink) = match report.outcome {
        StageOutcome::Passed => ("✓", Ink::Good),
        StageOutcome::NotTested => ("○", Ink::Warn),
        StageOutcome::Failed => ("✗", Ink::Bad),
        StageOutcome::Undecided => ("?", Ink::Warn),
        StageOutcome::NotReached | StageOutcome::Skipped => ("-", Ink::Dim),
    };
    let (name, claims, took) = (&stage.name, stage.claims.as_str(), took.unwrap_or_default());
    let line = if items.is_narrow {
        let took = if took.is_empty() { took } else { format!(", {took}") };
        format!("{name} reached {reached}{took}")
    } else {
        format!("{name:<19} claims {claims:<16} reached {reached:<16} {took:>7}")
    };
    items.push(Rank::Stage, &format!("  {mark} "), line.trim_end(), ink);
    let mut note = |text: &str| items.push(Rank::Aside, "      ", text, Ink::Plain);
    if let Some(reason) = &report.not_tested {
        note(&format!("not tested: {}", sentence(reason)));
    }
    for remark in &report.remarks {
        note(&format!("note: {}", sentence(remark)));
    }
    for finding in report.findings.iter().filter(|finding| finding.rule.is_note) {
        let place = place(&finding.evidence).map(|place| format!(" [{place}]"));
        let title = sentence(&finding.rule.title);
        note(&format!("note: {title}{}", place.unwrap_or_default()));
    }
}
