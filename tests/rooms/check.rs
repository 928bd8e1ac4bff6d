//! Holds a set of source files against the floor plan.

use crate::paths::{Named, Scanned, scan};
use crate::source::{Kind, Token, tokens};
use crate::table::{
    HOMES, IMPURE_FUNCTIONS, IMPURE_METHODS, IMPURE_PREFIXES, PRINTING, PURE_FLOOR_MAX, ROOMS, Room, SIDEWAYS,
    UNSAFE_FILES,
};
use std::collections::{BTreeMap, BTreeSet};

/// How often a re-export is followed; a longer chain would be a circle.
const REEXPORT_STEPS_MAX: usize = 8;

/// One file of the crate.
struct SourceFile {
    name: String,
    module: Vec<String>,
    tokens: Vec<Token>,
    scanned: Scanned,
}

impl SourceFile {
    fn only_declares(&self) -> bool {
        self.name.ends_with("/mod.rs") || self.name == "src/lib.rs"
    }
}

/// The crate as a set of files, each a name such as `src/qmp/codec.rs` and its text.
pub(crate) struct Sources {
    files: Vec<SourceFile>,
    /// Modules that are files, as paths below the crate.
    modules: BTreeSet<Vec<String>>,
    /// What a module exports under a name: the path it stands for.
    exports: BTreeMap<Vec<String>, Vec<String>>,
    /// Modules that are compiled for tests only.
    test_modules: BTreeSet<Vec<String>>,
}

impl Sources {
    /// Scans every file.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files: Vec<SourceFile> = texts
            .into_iter()
            .map(|(name, text)| {
                let module = module_of(name);
                let tokens = tokens(text);
                let scanned = scan(&tokens, &module);
                SourceFile {
                    name: name.to_owned(),
                    module,
                    tokens,
                    scanned,
                }
            })
            .collect();
        let modules = files.iter().map(|file| file.module.clone()).collect();
        let mut exports = BTreeMap::new();
        let mut test_modules = BTreeSet::new();
        for file in &files {
            let below = |name: &str| file.module.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
            for path in file
                .scanned
                .paths
                .iter()
                .filter(|path| path.exported && path.segments[0] == "crate")
            {
                let name = path.alias.as_ref().or(path.segments.last()).map_or("", String::as_str);
                exports.insert(below(name), path.segments[1..].to_vec());
            }
            test_modules.extend(
                file.scanned
                    .children
                    .iter()
                    .filter(|child| child.1)
                    .map(|child| below(&child.0)),
            );
        }
        Self {
            files,
            modules,
            exports,
            test_modules,
        }
    }

    /// Everything that is against the plan, one line each.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = self.stale_rows();
        for file in &self.files {
            if file.only_declares() {
                found.extend(declarations_only(file));
            } else if let Some(room) = room_of(&file.module) {
                found.extend(self.imports(file, room));
                if room.floor <= PURE_FLOOR_MAX && !self.test_modules.iter().any(|test| file.module.starts_with(test)) {
                    found.extend(impurities(file));
                }
            } else {
                found.push(format!(
                    "{}: no row in tests/rooms/table.rs: give `{}` its floor there",
                    file.name,
                    file.module.join("::")
                ));
            }
            found.extend(stray_crates(file));
            found.extend(unsafe_code(file));
        }
        found
    }

    /// Rows of a split room whose file is gone.
    fn stale_rows(&self) -> Vec<String> {
        let split = ROOMS.iter().filter(|room| room.path.contains("::"));
        split
            .filter(|room| {
                let path: Vec<String> = room.path.split("::").map(str::to_owned).collect();
                self.modules.contains(&path[..1]) && !self.modules.contains(&path)
            })
            .map(|room| format!("tests/rooms/table.rs: `{}` has a row but no file", room.path))
            .collect()
    }

    fn imports(&self, file: &SourceFile, room: &Room) -> Vec<String> {
        let ours = file
            .scanned
            .paths
            .iter()
            .filter(|path| path.segments[0] == "crate" && path.segments.len() > 1);
        ours.filter_map(|path| {
            let (part, floor) = self.target(&path.segments[1..])?;
            let fits = if part == room.part() {
                floor <= room.floor
            } else {
                floor < room.floor || SIDEWAYS.contains(&(room.part(), part.as_str()))
            };
            (!fits).then(|| {
                format!(
                    "{}:{}: `{}` (floor {}) names `{}` (floor {floor}): imports go to a lower floor only",
                    file.name,
                    path.line,
                    room.path,
                    room.floor,
                    path.segments.join("::")
                )
            })
        })
        .collect()
    }

    /// The part of the crate and the floor that a path below the crate leads to; none if it leads to nothing of ours.
    fn target(&self, path: &[String]) -> Option<(String, u8)> {
        let mut path = path.to_vec();
        for _ in 0..REEXPORT_STEPS_MAX {
            let exported = (1..=path.len()).rev().find_map(|length| {
                let (head, tail) = path.split_at(length);
                self.exports
                    .get(head)
                    .map(|meant| meant.iter().chain(tail).cloned().collect::<Vec<_>>())
            });
            match exported {
                Some(meant) if meant != path => path = meant,
                _ => break,
            }
        }
        if let Some(room) = room_of(&path) {
            return Some((room.part().to_owned(), room.floor));
        }
        // A split room named as a whole, or a name it has from a glob: as high as its highest file.
        let floor = ROOMS
            .iter()
            .filter(|room| room.part() == path[0])
            .map(|room| room.floor)
            .max()?;
        Some((path[0].clone(), floor))
    }
}

/// The module that a file holds: `qmp::codec` for `src/qmp/codec.rs`, `qmp` for `src/qmp/mod.rs`.
fn module_of(name: &str) -> Vec<String> {
    let stem = name.trim_start_matches("src/").trim_end_matches(".rs");
    let module = stem.strip_suffix("/mod").unwrap_or(stem);
    if module == "lib" {
        Vec::new()
    } else {
        module.split('/').map(str::to_owned).collect()
    }
}

/// The row with the longest path that `module` lies in.
fn room_of(module: &[String]) -> Option<&'static Room> {
    let within = |room: &&Room| {
        let mut steps = module.iter();
        room.path
            .split("::")
            .all(|step| steps.next().is_some_and(|own| own == step))
    };
    ROOMS.iter().filter(within).max_by_key(|room| room.path.len())
}

fn impurities(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    let mut complain = |line: usize, what: &str| {
        found.push(format!(
            "{}:{line}: a pure room uses `{what}`: take it as an argument or move it up",
            file.name
        ));
    };
    for path in file.scanned.paths.iter().filter(|path| !path.in_test) {
        let names: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let reaches_out = names.len() > 1 && IMPURE_PREFIXES.iter().any(|prefix| names.starts_with(prefix));
        let asks = names.len() > 1 && IMPURE_FUNCTIONS.contains(names.last().unwrap_or(&""));
        if reaches_out || asks || names.contains(&"SystemTime") {
            complain(path.line, &names.join("::"));
        }
    }
    for (pair, _) in file
        .tokens
        .windows(2)
        .zip(&file.scanned.in_test)
        .filter(|(_, in_test)| !**in_test)
    {
        match (&pair[0].kind, &pair[1].kind) {
            (Kind::Mark('.'), Kind::Word(method)) if IMPURE_METHODS.contains(&method.as_str()) => {
                complain(pair[1].line, &format!(".{method}()"));
            }
            (Kind::Word(name), Kind::Mark('!')) if PRINTING.contains(&name.as_str()) => {
                complain(pair[0].line, &format!("{name}!"));
            }
            _ => {}
        }
    }
    found
}

/// Crates that are used outside their home.
fn stray_crates(file: &SourceFile) -> Vec<String> {
    let part = file.module.first().map_or("", String::as_str);
    let strays = |path: &&Named| {
        path.segments.len() > 1
            && HOMES
                .iter()
                .any(|(name, homes)| path.segments[0] == *name && !homes.contains(&part))
    };
    let line = |path: &Named| {
        format!(
            "{}:{}: `{}` has another home",
            file.name,
            path.line,
            path.segments.join("::")
        )
    };
    file.scanned.paths.iter().filter(strays).map(line).collect()
}

fn unsafe_code(file: &SourceFile) -> Vec<String> {
    if UNSAFE_FILES.contains(&file.name.as_str()) {
        return Vec::new();
    }
    let says = file.tokens.iter().filter(|token| token.is_word("unsafe"));
    says.map(|token| format!("{}:{}: `unsafe` is not for this file", file.name, token.line))
        .collect()
}

/// A `mod.rs` holds documentation, `mod` and `use` only.
fn declarations_only(file: &SourceFile) -> Vec<String> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut item: Option<bool> = None;
    for (index, token) in file.tokens.iter().enumerate() {
        match &token.kind {
            Kind::Open(_) => depth += 1,
            Kind::Close(_) => depth -= 1,
            Kind::Mark(';') if depth == 0 => item = None,
            Kind::Word(word) if depth == 0 && item.is_none() && word != "pub" => {
                let declares = word == "use" || (word == "mod" && ends_at_once(&file.tokens[index..]));
                item = Some(declares);
                if !declares {
                    found.push(format!(
                        "{}:{}: only `mod` and `use` belong here",
                        file.name, token.line
                    ));
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether `mod name` ends with a semicolon and not with a body.
fn ends_at_once(item: &[Token]) -> bool {
    item.get(2).is_some_and(|token| token.kind == Kind::Mark(';'))
}
