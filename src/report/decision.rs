//! The decision whether an image is published: for a terminal, for programs, and as a table in Markdown.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::decide::{Decision, Production, StageRow};
use crate::text::{markdown_text, terminal_line};

/// How much of a text is shown, in characters.
const TEXT_CHARS_MAX: usize = 400;

fn shown(text: &str) -> String {
    terminal_line(text, TEXT_CHARS_MAX)
}

fn headline(decision: &Decision) -> &'static str {
    if decision.answer.publishes() {
        "publish"
    } else {
        "do not publish"
    }
}

/// What the image to publish is called: by its path if it is another than the one that was tested.
fn image(publishes: &Production) -> String {
    let digest = publishes.sha256.as_deref().unwrap_or("unknown");
    if publishes.path.is_empty() {
        format!("SHA-256 {digest}, the image that was tested")
    } else {
        format!("SHA-256 {digest}, {}", publishes.path)
    }
}

/// The decision as lines for a terminal.
pub fn decision_block(decision: &Decision) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "Decision: {}. {}", headline(decision), decision.answer.meaning());
    let _ = writeln!(text, "Gate:     {}", shown(&decision.gate));
    let tested = decision.tested_sha256.as_deref().unwrap_or("not known");
    let _ = writeln!(text, "Tested:   SHA-256 {}", shown(tested));
    if let Some(publishes) = &decision.publishes {
        let _ = writeln!(text, "Publish:  {}", shown(&image(publishes)));
    }
    for (index, reason) in decision.reasons.iter().enumerate() {
        let label = if index == 0 { "Because:" } else { "" };
        let _ = writeln!(text, "{label:<9} {}", shown(&reason.to_string()));
    }
    for stage in &decision.stages {
        let line = format!(
            "  {:<20} {:<14} {:<10} {}",
            shown(&stage.name),
            stage.answer.as_str(),
            required(stage),
            shown(&stage.runs.join(", "))
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn required(stage: &StageRow) -> &'static str {
    if stage.required { "required" } else { "" }
}

/// The decision as a table, for the summary of a CI step.
pub fn decision_table(decision: &Decision) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "### Decision: {}\n", headline(decision));
    let _ = writeln!(text, "{}\n", decision.answer.meaning());
    for reason in &decision.reasons {
        let _ = writeln!(text, "- {}", markdown_text(reason.to_string(), TEXT_CHARS_MAX));
    }
    if !decision.reasons.is_empty() {
        text.push('\n');
    }
    text.push_str("| stage | answer | required | runs |\n| --- | --- | --- | --- |\n");
    for stage in &decision.stages {
        let required = if stage.required { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {} | {} | {required} | {} |",
            markdown_text(&stage.name, TEXT_CHARS_MAX),
            stage.answer.as_str(),
            markdown_text(stage.runs.join(", "), TEXT_CHARS_MAX)
        );
    }
    let tested = decision.tested_sha256.as_deref().unwrap_or("not known");
    let _ = writeln!(text, "\nTested: SHA-256 {}", markdown_text(tested, TEXT_CHARS_MAX));
    if let Some(publishes) = &decision.publishes {
        let _ = writeln!(text, "\nPublish: {}", markdown_text(image(publishes), TEXT_CHARS_MAX));
    }
    text
}

/// The decision for programs.
pub fn decision_json(decision: &Decision) -> Value {
    json!({
        "decision": if decision.answer.publishes() { "publish" } else { "do-not-publish" },
        "exit_code": decision.answer.exit_code(),
        "meaning": decision.answer.meaning(),
        "gate": decision.gate,
        "tested": { "sha256": decision.tested_sha256 },
        "publish": decision.publishes.as_ref().map(|image| json!({
            "path": Some(&image.path).filter(|path| !path.is_empty()),
            "sha256": image.sha256,
        })),
        "because": decision.reasons.iter().map(|reason| json!({
            "stage": reason.stage,
            "run": reason.run,
            "text": reason.text,
        })).collect::<Vec<_>>(),
        "stages": decision.stages.iter().map(|stage| json!({
            "name": stage.name,
            "required": stage.required,
            "answer": stage.answer.as_str(),
            "runs": stage.runs,
        })).collect::<Vec<_>>(),
    })
}
