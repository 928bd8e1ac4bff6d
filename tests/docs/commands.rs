//! Every command of every page is run, here or by the test that the table names.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cli_support::{ROOT, run};
use crate::pages::pages;
use crate::sandbox::Sandbox;
use crate::table::{PLACES, PROOFS, Proof};

fn proof(page: &str, command: &str) -> Option<&'static Proof> {
    let row = PROOFS.iter().find(|(of, typed, _)| (*of, *typed) == (page, command));
    row.map(|(_, _, proof)| proof)
}

#[test]
fn every_command_is_run() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let place = PLACES.iter().find(|place| place.page == page.name);
        let sandbox = place.map(Sandbox::of);
        for command in page.commands() {
            count += 1;
            let code = match proof(&page.name, &command) {
                Some(Proof::Ends(code)) => *code,
                None => 0,
                Some(proof) => {
                    proved_elsewhere(proof, &page.name, &command);
                    continue;
                }
            };
            let sandbox = sandbox.as_ref().unwrap_or_else(|| {
                panic!(
                    "{}: `{command}` has no folder to run in: give the page a row in tests/docs/table.rs",
                    page.name
                )
            });
            let seen = sandbox.run(&command);
            if seen.code != Some(code) {
                wrong.push(format!("{}: `{command}`: {seen:?}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 20, "{count} commands: the search looks in the wrong place");
}

fn proved_elsewhere(proof: &Proof, page: &str, command: &str) {
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(ROOT).join(name))
            .unwrap_or_else(|error| panic!("{page}: `{command}`: {name}: {error}"))
    };
    match proof {
        Proof::Ends(_) => {}
        Proof::Test(file, function) => {
            let text = read(&format!("tests/{file}"));
            let there = text.contains(&format!("#[test]\nfn {function}()"));
            assert!(there, "{page}: `{command}`: tests/{file} has no test `{function}`");
        }
        Proof::Script(file, words) => {
            assert!(
                read(file).contains(words),
                "{page}: `{command}`: {file} does not run `{words}`"
            );
        }
    }
}

#[test]
fn every_row_is_of_a_command_that_is_there() {
    let pages = pages();
    for (name, command, _) in PROOFS {
        let page = pages.iter().find(|page| page.name == *name);
        let page = page.unwrap_or_else(|| panic!("there is no {name}"));
        assert!(
            page.commands().iter().any(|typed| typed == command),
            "{name} has no `{command}`"
        );
    }
    for place in PLACES {
        assert!(
            pages.iter().any(|page| page.name == place.page),
            "there is no {}",
            place.page
        );
    }
}

#[test]
fn a_block_of_commands_is_called_console_and_begins_with_a_dollar() {
    for page in pages() {
        for block in page.blocks() {
            assert!(
                !["sh", "bash", "shell", "shell-session"].contains(&block.language.as_str()),
                "{}: call it `console`, so that it is run: {}",
                page.name,
                block.text
            );
            if block.language == "console" {
                assert!(block.text.starts_with("$ "), "{}: {}", page.name, block.text);
            }
        }
    }
}

/// Commands in the running text are not run; that they exist, with their options, is proved.
#[test]
fn every_command_in_the_text_exists() {
    let mention = regex::Regex::new(r"`bootgate ([a-z][a-z-]+)([^`]*)`").unwrap();
    let option = regex::Regex::new(r"(?:^|\s)(--[a-z][a-z-]*)").unwrap();
    let mut wrong = BTreeSet::new();
    let mut count = 0;
    for page in pages() {
        for found in mention.captures_iter(&page.text) {
            let command = &found[1];
            count += 1;
            let help = run([command, "--help"]);
            if help.code != Some(0) {
                wrong.insert(format!("{}: bootgate {command}", page.name));
                continue;
            }
            for option in option.captures_iter(&found[2]) {
                // A build with every feature has it.
                let there = help.stdout.contains(&option[1]) || option[1].starts_with("--otlp-");
                if !there {
                    wrong.insert(format!("{}: bootgate {command} {}", page.name, &option[1]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(count > 20, "{count}");
}
