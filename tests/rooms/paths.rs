//! Finds the paths that a source file names: in `use` trees, in code and inside macros.

use crate::source::{Kind, Token, test_only};

/// A path as the source names it, with `crate`, `self` and `super` worked out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its segments; `crate` comes first if it is one of ours. A glob ends in `*`.
    pub(crate) segments: Vec<String>,
    /// The name it gets in this file if that differs from its last segment.
    pub(crate) alias: Option<String>,
    /// The line it stands on.
    pub(crate) line: usize,
    /// Whether it is compiled for tests only.
    pub(crate) in_test: bool,
    /// Whether it is re-exported by a `pub use`.
    pub(crate) exported: bool,
}

/// What the checks know of one file.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// Every path it names, single words included.
    pub(crate) paths: Vec<Named>,
    /// The modules it declares with `mod name;`, and whether for tests only.
    pub(crate) children: Vec<(String, bool)>,
    /// For each token, whether it is compiled for tests only.
    pub(crate) in_test: Vec<bool>,
}

/// Scans the tokens of the file that holds `module` (its path below the crate; empty for the crate's root).
pub(crate) fn scan(tokens: &[Token], module: &[String]) -> Scanned {
    let in_test = test_only(tokens);
    let children = declared_modules(tokens, &in_test);
    let mut paths = Vec::new();
    let mut here = module.to_vec();
    let mut open_modules: Vec<usize> = Vec::new();
    let mut depth = 0_usize;
    let mut exported = false;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => {
                depth -= 1;
                if open_modules.last() == Some(&depth) {
                    open_modules.pop();
                    here.pop();
                }
            }
            Kind::Mark(';') => exported = false,
            Kind::Word(word) if word == "mod" && is_open_brace(tokens.get(at + 2)) => {
                if let Some(Kind::Word(name)) = tokens.get(at + 1).map(|token| &token.kind) {
                    here.push(name.clone());
                    open_modules.push(depth);
                    at += 1;
                }
            }
            Kind::Word(word) if word == "use" => exported = is_public(tokens, at),
            Kind::Word(_) if starts_path(tokens, at) && !is_visibility(tokens, at) => {
                let mut found = Vec::new();
                let end = read_tree(tokens, at, &[], &mut found);
                for mut named in found {
                    named.segments = absolute(&named.segments, &here, &children);
                    named.in_test = in_test[at];
                    named.exported = exported;
                    paths.push(named);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Scanned {
        paths,
        children,
        in_test,
    }
}

fn is_open_brace(token: Option<&Token>) -> bool {
    token.is_some_and(|token| token.kind == Kind::Open('{'))
}

/// Whether the item whose keyword stands at `at` begins with `pub`, as in `pub use` and `pub(crate) use`.
fn is_public(tokens: &[Token], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).and_then(|index| tokens.get(index));
    let closes = before(1).is_some_and(|token| token.kind == Kind::Close(')'));
    if closes {
        (2..=8).any(|steps| before(steps).is_some_and(|token| token.is_word("pub")))
    } else {
        before(1).is_some_and(|token| token.is_word("pub"))
    }
}

/// Whether the path at `at` only says who may see an item, as in `pub(super)` and `pub(in crate::qmp)`.
fn is_visibility(tokens: &[Token], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).map(|index| &tokens[index]);
    let skipped = usize::from(before(1).is_some_and(|token| token.is_word("in")));
    before(skipped + 1).is_some_and(|token| token.kind == Kind::Open('('))
        && before(skipped + 2).is_some_and(|token| token.is_word("pub"))
}

/// Keywords after which `::` begins a path and does not continue one.
const BEFORE_A_PATH: &[&str] = &["as", "dyn", "for", "impl", "in", "mut", "return", "use"];

/// Whether a path begins with the word at `at`: not in the middle of one, and neither a field nor a lifetime.
fn starts_path(tokens: &[Token], at: usize) -> bool {
    let before = |steps: usize| at.checked_sub(steps).map(|index| &tokens[index].kind);
    match before(1) {
        Some(Kind::Join) => match before(2) {
            Some(Kind::Word(word)) => BEFORE_A_PATH.contains(&word.as_str()),
            Some(Kind::Mark('>') | Kind::Close(_)) => false,
            _ => true,
        },
        Some(Kind::Mark('\'')) => false,
        _ => true,
    }
}

/// Reads the path or `use` tree that starts at `at` below `prefix`; returns the index after it.
fn read_tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut segments = prefix.to_vec();
    loop {
        match tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(word)) => segments.push(word.clone()),
            Some(Kind::Mark('*')) => segments.push("*".to_owned()),
            Some(Kind::Open('{')) => return read_group(tokens, at + 1, &segments, found),
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token.kind != Kind::Join) || !continues_path(tokens.get(at + 1)) {
            break;
        }
        at += 1;
    }
    // `use a::{self}` names `a`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let mut alias = None;
    if let (Some(token), Some(Kind::Word(name))) = (tokens.get(at), tokens.get(at + 1).map(|token| &token.kind))
        && token.is_word("as")
    {
        alias = Some(name.clone());
        at += 2;
    }
    found.push(Named {
        segments,
        alias,
        line,
        in_test: false,
        exported: false,
    });
    at
}

fn continues_path(token: Option<&Token>) -> bool {
    token.is_some_and(|token| matches!(token.kind, Kind::Word(_) | Kind::Mark('*') | Kind::Open('{')))
}

/// Reads the members of a `use` group up to its closing brace; returns the index after that.
fn read_group(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    loop {
        match tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(_) | Kind::Mark('*') | Kind::Open('{')) => at = read_tree(tokens, at, prefix, found),
            Some(Kind::Close('}')) => return at + 1,
            Some(_) => at += 1,
            None => return at,
        }
    }
}

/// `segments` seen from the module `here`, written from the crate's root if they are ours.
fn absolute(segments: &[String], here: &[String], children: &[(String, bool)]) -> Vec<String> {
    let mut base = here.to_vec();
    let mut rest = segments;
    let first = segments.first().map_or("", String::as_str);
    match first {
        "crate" | "bootgate" => {
            base.clear();
            rest = &segments[1..];
        }
        "self" | "super" => {
            while let Some(step) = rest.first().filter(|step| *step == "self" || *step == "super") {
                if step == "super" {
                    base.pop();
                }
                rest = &rest[1..];
            }
        }
        _ if segments.len() > 1 && children.iter().any(|(child, _)| child == first) => {}
        _ => return segments.to_vec(),
    }
    let mut path = vec!["crate".to_owned()];
    path.extend(base);
    path.extend_from_slice(rest);
    path
}

/// The modules declared with `mod name;`.
fn declared_modules(tokens: &[Token], in_test: &[bool]) -> Vec<(String, bool)> {
    tokens
        .windows(3)
        .zip(in_test)
        .filter_map(|(window, test)| match (&window[0], &window[1].kind, &window[2].kind) {
            (keyword, Kind::Word(name), Kind::Mark(';')) if keyword.is_word("mod") => Some((name.clone(), *test)),
            _ => None,
        })
        .collect()
}
