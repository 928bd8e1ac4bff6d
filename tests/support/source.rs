//! The repository's own files, as the shape tests read them.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::{Path, PathBuf};

/// The repository's top folder: where the test runs, or else where it was built.
pub(crate) fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Every file below `folder` (relative to the repository) with one of the `extensions`, sorted; none if the folder
/// is missing. An empty list of extensions takes every file.
pub(crate) fn files_below(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(&current).into_iter().flatten() {
            let entry = entry.expect("a folder of the repository can be listed");
            let kind = entry.file_type().expect("a listed file has a type");
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if extensions.is_empty() || extensions.iter().any(|wanted| has_extension(&path, wanted)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether the name of a file ends in `.` and `extension`.
pub(crate) fn has_extension(name: impl AsRef<Path>, extension: &str) -> bool {
    name.as_ref().extension().is_some_and(|own| own == extension)
}

/// `path` as it is written from the repository's top folder.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

/// The text of a file of the repository; none if it is not UTF-8.
pub(crate) fn read(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{} can't be read: {error}", path.display()));
    String::from_utf8(bytes).ok()
}

/// One token that the checks look at. Comments are gone; literals, doc comments among them, stand as one mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword.
    Word(String),
    /// `::`
    Join,
    /// Any other punctuation, one character at a time.
    Mark(char),
    /// A literal of any kind.
    Literal,
    /// An opening or closing delimiter.
    Open(char),
    /// A closing delimiter.
    Close(char),
}

/// A token and the line it starts on, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// The line it starts on.
    pub(crate) line: usize,
}

impl Token {
    /// Whether this is the identifier or keyword `word`.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(text) if text == word)
    }
}

/// The tokens of Rust source `text`, flattened, macro bodies included.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let stream: TokenStream = text.parse().expect("the source is made of Rust tokens");
    let mut flat = Vec::new();
    flatten(stream, &mut flat);
    flat
}

fn flatten(stream: TokenStream, flat: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                flat.push(Token {
                    kind: Kind::Open(open),
                    line,
                });
                flatten(group.stream(), flat);
                flat.push(Token {
                    kind: Kind::Close(close),
                    line: group.span_close().start().line,
                });
            }
            TokenTree::Ident(word) => flat.push(Token {
                kind: Kind::Word(word.to_string()),
                line,
            }),
            TokenTree::Literal(_) => flat.push(Token {
                kind: Kind::Literal,
                line,
            }),
            TokenTree::Punct(mark) => {
                let joins = mark.as_char() == ':'
                    && mark.spacing() == proc_macro2::Spacing::Joint
                    && matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                if joins {
                    trees.next();
                }
                let kind = if joins { Kind::Join } else { Kind::Mark(mark.as_char()) };
                flat.push(Token { kind, line });
            }
        }
    }
}

/// For each token, whether it belongs to an item under `#[cfg(test)]`.
pub(crate) fn test_only(tokens: &[Token]) -> Vec<bool> {
    let mut marks = vec![false; tokens.len()];
    let mut at = 0;
    while at + 1 < tokens.len() {
        if tokens[at].kind == Kind::Mark('#') && tokens[at + 1].kind == Kind::Open('[') {
            let close = closing(tokens, at + 1);
            let attribute = &tokens[at + 2..close];
            let for_tests = attribute.first().is_some_and(|token| token.is_word("cfg"))
                && attribute.iter().any(|token| token.is_word("test"))
                && !attribute
                    .iter()
                    .any(|token| token.is_word("not") || token.is_word("any"));
            if for_tests {
                let end = item_end(tokens, close + 1);
                marks[at..end].fill(true);
                at = end;
                continue;
            }
            at = close;
        }
        at += 1;
    }
    marks
}

/// The index of the delimiter that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) if depth == 1 => return index,
            Kind::Close(_) => depth -= 1,
            _ => {}
        }
    }
    tokens.len() - 1
}

/// The index after the item that starts at `start`: after its semicolon or its braces.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark(';') => return at + 1,
            Kind::Open('{') => return closing(tokens, at) + 1,
            Kind::Open(_) => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    at
}
