//! The documentation as a test reads it.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// A page.
pub(crate) struct Page {
    /// Its place in the repository: `docs/tutorial.md`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// A block of code.
pub(crate) struct Block {
    /// `console`, `toml` …
    pub(crate) language: String,
    pub(crate) text: String,
}

pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page below `docs/`, in order.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = vec![top().join("README.md")];
    below(&top().join("docs"), &mut paths);
    let page = |path: PathBuf| Page {
        name: path.strip_prefix(top()).unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(page).collect()
}

/// The page of this name.
pub(crate) fn page(name: &str) -> Page {
    let found = pages().into_iter().find(|page| page.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

impl Page {
    /// Its blocks of code.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut inside = false;
        for event in Parser::new_ext(&self.text, pulldown_cmark::Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    inside = true;
                    let language = match kind {
                        CodeBlockKind::Fenced(info) => info.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    blocks.push(Block {
                        language,
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => inside = false,
                Event::Text(text) if inside => blocks.last_mut().unwrap().text.push_str(&text),
                _ => {}
            }
        }
        blocks
    }

    /// The commands of its `console` blocks: what follows `$ `, without the remark behind it.
    pub(crate) fn commands(&self) -> Vec<String> {
        let blocks = self.blocks().into_iter().filter(|block| block.language == "console");
        let texts: Vec<_> = blocks.map(|block| block.text).collect();
        let lines = texts.iter().flat_map(|text| text.lines());
        let typed = lines.filter_map(|line| line.strip_prefix("$ "));
        typed
            .map(|line| line.split(" #").next().unwrap().trim_end().to_owned())
            .collect()
    }
}
