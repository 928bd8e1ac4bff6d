//! Rules files.

use std::ops::Range;
use std::path::Path;

use super::container::{Choice, List, ListOfTables};
use super::context::Context;
use super::date::Day;
use super::diagnostic::{GateFileErrors, Mistake};
use super::key::{Group, Key, Table};
use super::number::Flag;
use super::reader::TableReader;
use super::rule_look::{
    FixtureForm, PROMPT, REGEX, RULE_NAME, RawStep, SOURCE, StepTable, TEXT, WithoutTable, pattern, with_sources,
};
use super::suggest::nearest;
use super::syntax;
use super::word::{Name, Text};
use crate::plan::{Look, Rule, RuleClass, Source, Step, Without};

static ID: Key<Name> = Key::required("id", RULE_NAME, "The rule's name.");
static CLASS: Key<Choice<RuleClass>> = Key::required(
    "class",
    Choice {
        all: &RuleClass::ALL,
        name: RuleClass::as_str,
    },
    "The class of the verdict that the rule leads to; a `note` is told beside the verdict.",
);
static CAUSE: Key<Name> = Key::required(
    "cause",
    RULE_NAME,
    "The cause that the verdict names. Rules may share one.",
);
static FATAL: Key<Flag> = Key::default(
    "fatal",
    Flag,
    "false",
    "True if the run is lost once the rule is certain: it ends at once. Otherwise the rule explains a failure.",
);
static SOURCES: Key<List<Choice<Source>>> = Key::required("sources", List(SOURCE), "Where the lines may stand.");
static STEPS: Key<List<StepTable>> = Key::optional(
    "steps",
    List(StepTable),
    "Several things that must be seen, in this order.",
);
static WITHOUT: Key<WithoutTable> = Key::optional("without", WithoutTable, "What must not be seen.");
static TITLE: Key<Text> = Key::required(
    "title",
    Text {
        example: "what happened",
    },
    "What happened, in a few words.",
);
static ROOT_CAUSE: Key<Text> = Key::required("root-cause", Text { example: "Why." }, "Why it happens.");
static REMEDY: Key<Text> = Key::required("remedy", Text { example: "Do this." }, "What to do.");
static TRACKER: Key<Text> = Key::optional(
    "tracker",
    Text {
        example: "https://example.org/1",
    },
    "Where the failure is tracked.",
);
static PUBLISHABLE: Key<Flag> = Key::optional(
    "publishable",
    Flag,
    "Whether an image with this known failure may be published all the same.",
);
static EXPIRES: Key<Day> = Key::optional("expires", Day, "The first day on which the rule counts no more.");
static MATCHES: Key<List<FixtureForm>> = Key::default(
    "matches",
    List(FixtureForm),
    "[]",
    "Logs in which the rule must find something.",
);
static IGNORES: Key<List<FixtureForm>> = Key::default(
    "ignores",
    List(FixtureForm),
    "[]",
    "Logs like them in which it must find nothing.",
);

static RULE: Table = Table {
    title: "`[[rule]]`",
    doc: "What a failure looks like, why it happens, and what to do about it.",
    keys: &[
        &ID,
        &CLASS,
        &CAUSE,
        &FATAL,
        &SOURCES,
        &TEXT,
        &REGEX,
        &PROMPT,
        &STEPS,
        &WITHOUT,
        &TITLE,
        &ROOT_CAUSE,
        &REMEDY,
        &TRACKER,
        &PUBLISHABLE,
        &EXPIRES,
        &MATCHES,
        &IGNORES,
    ],
    group: Group::ExactlyOne(&["text", "regex", "steps"]),
};
static RULES: Key<ListOfTables> =
    Key::required("rule", ListOfTables(&RULE), "The rules, the more specific ones first.");
static ROOT: Table = Table {
    title: "the rules file",
    doc: "Rules for `bootgate triage` and for gates.",
    keys: &[&RULES],
    group: Group::None,
};

/// Reads the text of a rules file. `known` are rules that are there already: their names are taken, and they may be
/// referred to.
///
/// # Errors
/// Every mistake in the text at once, each with its place.
pub fn parse_rules(file_name: &Path, text: &str, known: &[Rule]) -> Result<Vec<Rule>, GateFileErrors> {
    let document = match syntax::read(text) {
        Ok(document) => document,
        Err(mistake) => return Err(GateFileErrors::new(file_name, text, vec![*mistake])),
    };
    let cx = Context::new(file_name, text, document.mistakes);
    let root = TableReader::of(document.root.get_ref(), 0..0, &ROOT, &cx);
    let rules = read(&root, file_name, text, known);
    let mistakes = cx.into_mistakes();
    if mistakes.is_empty() {
        Ok(rules)
    } else {
        Err(GateFileErrors::new(file_name, text, mistakes))
    }
}

fn read(root: &TableReader<'_>, file: &Path, text: &str, known: &[Rule]) -> Vec<Rule> {
    let tables = root.tables(&RULES);
    if tables.is_empty() {
        let label = "add a `[[rule]]`";
        root.report(Mistake::new(root.span(&RULES), "the rules file has no rule", label));
    }
    let mut rules: Vec<Rule> = Vec::new();
    let mut places: Vec<(Range<usize>, Vec<Range<usize>>)> = Vec::new();
    for mut table in tables {
        let Some((mut rule, spans)) = read_rule(&mut table) else {
            continue;
        };
        let id_span = table.span(&ID);
        let twice = rules.iter().position(|earlier| earlier.id == rule.id);
        if let Some(at) = twice {
            let mistake = Mistake::new(
                id_span.clone(),
                format!("two rules are called `{}`", rule.id),
                "the second one",
            );
            table.report(mistake.related(places[at].0.clone(), "the first one"));
        } else if known.iter().any(|earlier| earlier.id == rule.id) {
            let message = format!("there is a rule `{}` already", rule.id);
            table.report(Mistake::new(id_span.clone(), message, "give it another name"));
        }
        rule.line = text[..table.header().start].matches('\n').count() + 1;
        file.clone_into(&mut rule.file);
        rules.push(rule);
        places.push((id_span, spans));
    }
    let all: Vec<&Rule> = rules.iter().chain(known).collect();
    for (rule, (_, spans)) in rules.iter().zip(&places) {
        check_references(root, rule, spans, &all);
    }
    rules
}

/// A rule that another one refers to must be there, and be of one line.
fn check_references(root: &TableReader<'_>, rule: &Rule, spans: &[Range<usize>], all: &[&Rule]) {
    let looks = rule.steps.iter().map(|step| &step.look);
    let looks = looks.chain(rule.without.iter().map(|without| &without.look));
    for (look, span) in looks.zip(spans) {
        let Look::Rule(id) = look else { continue };
        let meant = all.iter().find(|other| other.id == *id);
        let simple = meant.is_some_and(|other| matches!(other.only_look(), Some(Look::Line { .. })));
        let mistake = match meant {
            Some(_) if simple => continue,
            Some(_) => Mistake::new(
                span.clone(),
                format!("the rule `{id}` is not one of a single line"),
                "only those can be referred to",
            ),
            None => {
                let near = nearest(id, all.iter().map(|other| other.id.as_str()));
                let label = near.map_or_else(
                    || "`bootgate triage --list` tells the built-in ones".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                Mistake::new(span.clone(), format!("there is no rule `{id}`"), label)
            }
        };
        root.report(mistake);
    }
}

/// The rule, and the places of its steps and of its `without`.
fn read_rule(table: &mut TableReader<'_>) -> Option<(Rule, Vec<Range<usize>>)> {
    let id = table.take(&ID);
    if let Some(id) = &id {
        table.rename(format!("the rule `{id}`"));
    }
    let (class, cause, fatal) = (table.take(&CLASS), table.take(&CAUSE), table.take(&FATAL));
    let sources = table.take(&SOURCES);
    let (title, root_cause, remedy) = (table.take(&TITLE), table.take(&ROOT_CAUSE), table.take(&REMEDY));
    let (tracker, publishable, expires) = (table.take(&TRACKER), table.take(&PUBLISHABLE), table.take(&EXPIRES));
    let (matches, ignores) = (table.take(&MATCHES), table.take(&IGNORES));
    let without = table.take(&WITHOUT);
    if table.has(&SOURCES) && sources.as_ref().is_some_and(Vec::is_empty) {
        table.report(Mistake::new(
            table.span(&SOURCES),
            "`sources` is empty",
            "name at least one",
        ));
        return None;
    }
    let sources = sources?;
    let (steps, mut spans) = read_steps(table, &sources)?;
    if table.has(&WITHOUT) {
        spans.push(table.span(&WITHOUT));
    }
    let rule = Rule {
        id: id?,
        class: class?,
        cause: cause?,
        fatal: fatal?,
        steps,
        without: without.map(|without| Without {
            look: with_sources(without.look, &sources),
            until: without.until,
        }),
        title: title?,
        root_cause: root_cause?,
        remedy: remedy?,
        tracker,
        publishable: publishable.unwrap_or(false),
        expires,
        matches: matches?,
        ignores: ignores?,
        file: Path::new("").to_owned(),
        line: 0,
    };
    check(table, &rule, &spans);
    Some((rule, spans))
}

fn read_steps(table: &TableReader<'_>, sources: &[Source]) -> Option<(Vec<Step>, Vec<Range<usize>>)> {
    if !table.has(&STEPS) {
        let pattern = pattern(table)?;
        let span = if table.has(&TEXT) {
            table.span(&TEXT)
        } else {
            table.span(&REGEX)
        };
        let look = Look::Line {
            sources: sources.to_vec(),
            pattern,
            prompt: table.take(&PROMPT)?,
        };
        return Some((vec![Step { look, within: None }], vec![span]));
    }
    if table.has(&PROMPT) {
        let label = "write it into the step that it is about";
        table.report(Mistake::new(
            table.span(&PROMPT),
            "`prompt` goes with `text` or `regex`",
            label,
        ));
    }
    let raw = table.take(&STEPS)?;
    match raw.first() {
        None => table.report(Mistake::new(
            table.span(&STEPS),
            "`steps` is empty",
            "a rule looks for something",
        )),
        Some(first) if first.has_within => {
            let label = "there is no step before the first one";
            table.report(Mistake::new(
                first.span.clone(),
                "`within` says how far behind the step before",
                label,
            ));
        }
        Some(_) => {}
    }
    let spans: Vec<_> = raw.iter().map(|step: &RawStep| step.span.clone()).collect();
    let steps: Vec<_> = raw.into_iter().map(|step| step.resolve(sources)).collect();
    (!steps.is_empty()).then_some((steps, spans))
}

/// What must hold between the keys.
fn check(table: &TableReader<'_>, rule: &Rule, spans: &[Range<usize>]) {
    let report = |span: Range<usize>, message: &str, label: &str| table.report(Mistake::new(span, message, label));
    if rule.fatal && rule.class == RuleClass::Note {
        report(
            table.span(&FATAL),
            "a note ends no run",
            "give the rule the class of its verdict",
        );
    }
    if rule.class == RuleClass::KnownFailure {
        if !table.has(&EXPIRES) {
            report(
                table.span(&CLASS),
                "a known failure has an `expires`",
                "add the day until which it may be known",
            );
        }
        if !table.has(&PUBLISHABLE) {
            let label = "add `publishable = true` or `false`";
            report(
                table.span(&CLASS),
                "a known failure says whether the image may be published",
                label,
            );
        }
    } else if rule.publishable {
        let label = "an image with another failure is not published";
        report(
            table.span(&PUBLISHABLE),
            "only a known failure may be publishable",
            label,
        );
    }
    let is_cause = |look: &Look| matches!(look, Look::Line { sources, .. } if sources.contains(&Source::Cause));
    let last = rule.steps.len() - 1;
    for (at, step) in rule.steps.iter().enumerate().filter(|(_, step)| is_cause(&step.look)) {
        if at < last {
            report(
                spans[at].clone(),
                "nothing follows the cause that a run ends with",
                "let it be the last step",
            );
        }
        if !matches!(&step.look, Look::Line { sources, .. } if sources.len() == 1) {
            report(
                spans[at].clone(),
                "`cause` can't be mixed with other sources",
                "write a step of its own for it",
            );
        }
    }
    if is_cause(&rule.steps[last].look) && rule.fatal {
        report(
            table.span(&FATAL),
            "a rule that explains a cause ends no run",
            "the run has ended: leave `fatal` out",
        );
    }
    if rule.without.as_ref().is_some_and(|without| is_cause(&without.look)) {
        report(
            table.span(&WITHOUT),
            "a cause can't be absent",
            "name the lines' own sources",
        );
    }
}
