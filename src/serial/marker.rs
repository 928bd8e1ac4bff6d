//! Finds named patterns in the console's stream.

use std::ops::Range;
use std::time::{Duration, Instant};

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::splitter::{Line, Splitter};
use crate::plan::Pattern;
use crate::text::Untrusted;
use wider::wider;

mod wider;

/// How long the console must be silent before the unterminated line at its end is taken for a prompt.
pub const PROMPT_QUIET: Duration = Duration::from_millis(150);
/// How long a marker in an unterminated line may stay unseen while the console is never silent.
pub const TAIL_WAIT_MAX: Duration = Duration::from_secs(1);
/// Length in bytes of the line that a [`Match`] quotes; of a longer line it quotes the part around the match.
pub const MATCH_LINE_BYTES_MAX: usize = 1024;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name that matches carry. One target, one name.
    pub id: String,
    /// What the line looks like. `^` and `$` are the line's ends.
    pub pattern: Pattern,
    /// True for a question that waits for an answer: in an unterminated line it is only looked for once the console has
    /// been silent for [`PROMPT_QUIET`], because before that the line may go on.
    pub prompt: bool,
}

/// A pattern that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The target's name.
    pub id: String,
    /// The line, or the part around the match, as printable text; at most [`MATCH_LINE_BYTES_MAX`] bytes.
    pub line: Untrusted,
    /// Offset in the raw stream of the line's first byte.
    pub line_offset: u64,
    /// Offset in the raw stream of the first character of `line`: where a reader finds what is quoted.
    pub quote_offset: u64,
    /// Offset in the raw stream of the first character that matched.
    pub match_offset: u64,
    /// True if the line had not ended when the pattern was found.
    pub unterminated: bool,
}

/// Targets that can't be looked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WatchError {
    /// A pattern does not compile.
    #[error("the pattern {pattern} of `{id}` is not a usable regular expression: {source}")]
    Pattern {
        /// The target's name.
        id: String,
        /// Its pattern.
        pattern: Pattern,
        /// Why it can't be used.
        source: regex::Error,
    },
    /// The patterns compile one by one but not together.
    #[error("the {count} patterns for the console are too large together: {source}; look for fewer or simpler ones")]
    Together {
        /// How many they are.
        count: usize,
        /// Why they can't be used.
        source: regex::Error,
    },
}

/// How much memory what was learned of all patterns together may take, in bytes. With less of it, a line that several of them
/// are in is searched a hundred times slower.
const SET_DFA_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Looks for a set of targets in a stream.
///
/// A pattern is matched against each line when it ends, so that a match quotes the whole line. Against the line that has
/// not ended it is matched once the console is silent for [`PROMPT_QUIET`], and, if the console never is, every
/// [`TAIL_WAIT_MAX`]; then only patterns count that further text can't undo. Each target is reported once in a line; in a
/// line that never ends, once in each piece that it is cut into.
#[derive(Debug)]
pub struct Watch {
    splitter: Splitter,
    matcher: Matcher,
    last_byte_at: Option<Instant>,
    unread_since: Option<Instant>,
}

#[derive(Debug)]
struct Matcher {
    /// Finds the lines that are looked at: all that a pattern is in, and a few more.
    set: RegexSet,
    patterns: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    id: String,
    regex: Regex,
    prompt: bool,
    /// True if no text that follows can undo a match.
    certain: bool,
    /// True if it was reported for the line that is being read.
    reported: bool,
}

/// What is known about the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has ended.
    Ended,
    /// It was cut.
    Cut,
    /// It has not ended, and the console is silent.
    Silent,
    /// It has not ended, and bytes are coming.
    Growing,
}

impl Watch {
    /// Looks for `targets`.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> Result<Self, WatchError> {
        let patterns = targets.into_iter().map(Compiled::new).collect::<Result<Vec<_>, _>>()?;
        let mut set = RegexSetBuilder::new(patterns.iter().map(|pattern| wider(pattern.regex.as_str())));
        let set = set.dfa_size_limit(SET_DFA_BYTES_MAX).build().map_err(|source| {
            let count = patterns.len();
            WatchError::Together { count, source }
        })?;
        Ok(Self {
            splitter: Splitter::default(),
            matcher: Matcher { set, patterns },
            last_byte_at: None,
            unread_since: None,
        })
    }

    /// The names of the targets.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.matcher.patterns.iter().map(|pattern| pattern.id.as_str())
    }

    /// Reads bytes that came at `now`, calling `on_match` for what the lines that they end hold.
    pub fn feed(&mut self, bytes: &[u8], now: Instant, mut on_match: impl FnMut(Match)) {
        if bytes.is_empty() {
            return;
        }
        let mut ended = false;
        self.splitter.feed(bytes, |line| {
            let end = if line.cut { End::Cut } else { End::Ended };
            self.matcher.read(line, end, &mut on_match);
            self.matcher.forget();
            ended = true;
        });
        self.last_byte_at = Some(now);
        if ended || self.unread_since.is_none() {
            self.unread_since = Some(now);
        }
    }

    /// When [`Watch::quiet`] should be called next, if no byte comes before.
    pub fn next_quiet_at(&self) -> Option<Instant> {
        self.splitter.tail()?;
        let silent_at = self.last_byte_at? + PROMPT_QUIET;
        Some(silent_at.min(self.unread_since? + TAIL_WAIT_MAX))
    }

    /// Looks at the line that has not ended, if it is time to.
    pub fn quiet(&mut self, now: Instant, mut on_match: impl FnMut(Match)) {
        if self.next_quiet_at().is_none_or(|at| now < at) {
            return;
        }
        let silent = self.last_byte_at.is_some_and(|at| now >= at + PROMPT_QUIET);
        let end = if silent { End::Silent } else { End::Growing };
        if let Some(line) = self.splitter.tail() {
            self.matcher.read(&line, end, &mut on_match);
        }
        self.unread_since = (!silent).then_some(now);
    }

    /// The stream has ended: looks at the line that never will.
    pub fn finish(&mut self, mut on_match: impl FnMut(Match)) {
        self.splitter.finish(|line| {
            self.matcher.read(line, End::Cut, &mut on_match);
            self.matcher.forget();
        });
        if let Some(line) = self.splitter.tail() {
            self.matcher.read(&line, End::Silent, &mut on_match);
        }
        self.unread_since = None;
    }
}

impl Compiled {
    fn new(target: Target) -> Result<Self, WatchError> {
        let Target { id, pattern, prompt } = target;
        match Regex::new(&pattern.to_regex()) {
            Ok(regex) => Ok(Self {
                id,
                regex,
                prompt,
                certain: is_certain(&pattern),
                reported: false,
            }),
            Err(source) => Err(WatchError::Pattern { id, pattern, source }),
        }
    }

    /// The place in the line of the first match that counts. What the piece before showed was counted there, except for
    /// uncertain matches that touched its end.
    fn find(&self, line: &Line<'_>, end: End) -> Option<usize> {
        let counts = |found: &regex::Match<'_>| {
            let touches_context = !self.certain && found.end() == line.context_bytes;
            let touches_cut = !self.certain && end == End::Cut && found.end() == line.text.len();
            let fresh = found.end() > line.context_bytes || line.context_bytes == 0;
            (fresh || touches_context) && !touches_cut
        };
        let allowed = match end {
            End::Ended | End::Cut | End::Silent => true,
            End::Growing => self.certain && !self.prompt,
        };
        let found = self.regex.find_iter(line.text).find(|found| allowed && counts(found));
        found.map(|found| found.start())
    }
}

/// True if a match of the pattern stays one whatever follows: it does not look at what is behind it. Takes an escaped `$`
/// for a real one, which only costs time.
fn is_certain(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Text(_) => true,
        Pattern::Regex(regex) => !["$", "\\b", "\\B", "\\z", "\\>"]
            .iter()
            .any(|looks| regex.contains(looks)),
    }
}

impl Matcher {
    fn read(&mut self, line: &Line<'_>, end: End, on_match: &mut impl FnMut(Match)) {
        if !self.set.is_match(line.text) {
            return;
        }
        for index in self.set.matches(line.text) {
            let pattern = &mut self.patterns[index];
            if pattern.reported {
                continue;
            }
            if let Some(position) = pattern.find(line, end) {
                pattern.reported = true;
                let quote = around(line.text, position);
                on_match(Match {
                    id: pattern.id.clone(),
                    line: Untrusted::new(&line.text[quote.clone()]),
                    line_offset: line.start,
                    quote_offset: line.raw_offset(quote.start),
                    match_offset: line.raw_offset(position),
                    unterminated: end != End::Ended,
                });
            }
        }
    }

    /// The next line begins.
    fn forget(&mut self) {
        for pattern in &mut self.patterns {
            pattern.reported = false;
        }
    }
}

/// The place of at most [`MATCH_LINE_BYTES_MAX`] bytes of a line, a quarter of them in front of `position`.
fn around(text: &str, position: usize) -> Range<usize> {
    if text.len() <= MATCH_LINE_BYTES_MAX {
        return 0..text.len();
    }
    let mut start = position.saturating_sub(MATCH_LINE_BYTES_MAX / 4);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let mut end = text.len().min(start + MATCH_LINE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests;
