//! What is wrong with a gate file, and how a person or a program is told.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value as Json, json};

use super::mask::masked;

/// One mistake in a gate file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Line of the first character of the span, from 1.
    pub line: usize,
    /// Column of that character, from 1, counted in characters.
    pub column: usize,
    /// The bytes of the gate file that are meant; inside the text and on character borders.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What stands under the caret: the short form of what is expected there.
    pub label: String,
    /// What to write instead, if that is more than the label says.
    pub help: Option<String>,
    /// Another place that the mistake is about.
    pub related: Option<Related>,
}

/// A second place that a mistake is about, such as the first use of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The bytes of the gate file that are meant.
    pub span: Range<usize>,
    /// What is there.
    pub label: String,
}

/// A mistake before its place is known by line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) span: Range<usize>,
    message: String,
    label: String,
    help: Option<String>,
    related: Option<Related>,
}

impl Mistake {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            label: label.into(),
            help: None,
            related: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related = Some(Related {
            span,
            label: label.into(),
        });
        self
    }

    fn place(self, text: &str) -> Diagnostic {
        let span = clamp(&self.span, text);
        let before = &text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Diagnostic {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: self.message,
            label: self.label,
            help: self.help,
            related: self.related.map(|related| Related {
                span: clamp(&related.span, text),
                label: related.label,
            }),
            span,
        }
    }
}

/// The nearest range that lies inside `text` and on character borders.
fn clamp(span: &Range<usize>, text: &str) -> Range<usize> {
    let border = |at: usize| {
        (0..=at.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0)
    };
    let start = border(span.start);
    start..border(span.end).max(start)
}

/// Every mistake of one gate file, in the order of the text. Never empty.
///
/// The text that is shown with them has its inline secrets replaced, so the errors can go to a public log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateFileErrors {
    file: PathBuf,
    masked_text: String,
    diagnostics: Vec<Diagnostic>,
}

impl GateFileErrors {
    pub(super) fn new(file: &Path, text: &str, mistakes: Vec<Mistake>) -> Self {
        let mut diagnostics: Vec<_> = mistakes.into_iter().map(|mistake| mistake.place(text)).collect();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        Self {
            file: file.to_owned(),
            masked_text: masked(text),
            diagnostics,
        }
    }

    /// The mistakes, in the order of the text.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The mistakes for a person: each with its line, a caret and what to write instead. `color`: with ANSI colours.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let path = self.file.to_string_lossy();
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            let primary = AnnotationKind::Primary.span(diagnostic.span.clone());
            let related = diagnostic.related.as_ref();
            let related = related.map(|it| AnnotationKind::Context.span(it.span.clone()).label(&it.label));
            let snippet = Snippet::source(&self.masked_text)
                .path(path.as_ref())
                .annotation(primary.label(&diagnostic.label))
                .annotations(related);
            let help = diagnostic
                .help
                .as_deref()
                .map(annotate_snippets::normalize_untrusted_str);
            let group = Level::ERROR.primary_title(&diagnostic.message).element(snippet);
            let group = group.elements(help.map(|help| Level::HELP.message(help)));
            out.push_str(&renderer.render(&[group]));
            out.push_str("\n\n");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    /// The mistakes for a program: `{"file": …, "errors": [{"line", "column", "span", "message", "label", "help", "related"}]}`.
    pub fn to_json(&self) -> Json {
        let span = |span: &Range<usize>| json!({ "start": span.start, "end": span.end });
        let error = |diagnostic: &Diagnostic| {
            json!({
                "line": diagnostic.line,
                "column": diagnostic.column,
                "span": span(&diagnostic.span),
                "message": diagnostic.message,
                "label": diagnostic.label,
                "help": diagnostic.help,
                "related": diagnostic.related.as_ref().map(|it| json!({ "span": span(&it.span), "label": it.label })),
            })
        };
        json!({
            "file": self.file.to_string_lossy(),
            "errors": self.diagnostics.iter().map(error).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for GateFileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for GateFileErrors {}
