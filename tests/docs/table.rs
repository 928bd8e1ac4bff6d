//! Which folder each page's commands run in, and the commands that something else proves.

/// What a page's commands find in their folder.
pub(crate) struct Place {
    pub(crate) page: &'static str,
    /// Recorded runs of `fixtures/runs`, which lie in `runs/`. The last one is the newest.
    pub(crate) runs: &'static [&'static str],
    /// Files: the name there, and the file of the repository; `page:N` is the page's own Nth block of TOML, from 1.
    pub(crate) files: &'static [(&'static str, &'static str)],
}

/// Pages with commands that run here.
pub(crate) const PLACES: &[Place] = &[
    Place {
        page: "README.md",
        runs: &["uefi", "kernel-panic"],
        files: &[],
    },
    Place {
        page: "docs/how-to/rules.md",
        runs: &["uefi", "installer-exits-1"],
        files: &[
            ("known.toml", "docs/how-to/rules.md:2"),
            ("job.log", "fixtures/triage/enospc-e2e-ci.log"),
        ],
    },
    Place {
        page: "docs/how-to/read-a-run.md",
        runs: &["uefi", "kernel-panic"],
        files: &[],
    },
    Place {
        page: "docs/how-to/replay.md",
        runs: &["kernel-panic"],
        files: &[
            ("changed.toml", "fixtures/runs/kernel-panic/gate.toml"),
            ("rules.toml", "docs/how-to/rules.md:2"),
        ],
    },
];

/// How a command is proved that is not run in its folder, or does not end with 0 there.
pub(crate) enum Proof {
    /// It runs, and ends with this exit code.
    Ends(i32),
    /// It needs a machine. This test, by its file and function, does it; where the page is the tutorial, word for word.
    Test(&'static str, &'static str),
    /// This file of the repository runs these words.
    Script(&'static str, &'static str),
}
use Proof::{Ends, Script, Test};

/// Every such command, by page.
pub(crate) const PROOFS: &[(&str, &str, Proof)] = &[
    (
        "README.md",
        "make demo",
        Script(".github/workflows/ci.yml", "- run: make demo"),
    ),
    (
        "README.md",
        "make test",
        Script(".github/workflows/ci.yml", "- run: make test"),
    ),
    (
        "README.md",
        "bootgate init your.iso && bootgate run gate.toml",
        Test("real_first.rs", "an_iso_is_gated_as_it_is"),
    ),
    ("README.md", "bootgate inspect last disk cat /etc/fstab", REOPENED),
    (
        "README.md",
        "bootgate inspect last resume",
        Test("real_hold/verbs.rs", "every_verb_on_a_held_machine"),
    ),
    (
        "README.md",
        "bootgate inspect last console",
        Test("real_hold/verbs.rs", "every_verb_on_a_held_machine"),
    ),
    (
        "README.md",
        "bootgate inspect last quit",
        Test("real_hold/end.rs", "quit_and_extend_and_reap"),
    ),
    (
        "docs/tutorial.md",
        "cargo install --locked --path .",
        Script(".github/release/build.sh", "cargo install --locked --path"),
    ),
    ("docs/tutorial.md", "bootgate init live.iso", TUTORIAL),
    ("docs/tutorial.md", "bootgate doctor gate.toml", TUTORIAL),
    ("docs/tutorial.md", "bootgate check gate.toml", TUTORIAL),
    ("docs/tutorial.md", "bootgate run gate.toml", TUTORIAL),
    ("docs/tutorial.md", "bootgate trace last", TUTORIAL),
    ("docs/tutorial.md", "bootgate inspect last", TUTORIAL),
    ("docs/tutorial.md", "bootgate replay last", TUTORIAL),
    ("docs/tutorial.md", "bootgate report last -o page.html", TUTORIAL),
    (
        "README.md",
        "bootgate run gate.toml --stage boot-live --output boot.tar.zst",
        STEPS,
    ),
    (
        "README.md",
        "bootgate run gate.toml --stage export    --from boot.tar.zst --output export.tar.zst",
        STEPS,
    ),
    (
        "README.md",
        "bootgate decide boot.tar.zst export.tar.zst install.tar.zst installed.tar.zst",
        STEPS,
    ),
    (
        "docs/how-to/stages.md",
        "bootgate run gate.toml --stage boot-live --output boot.tar.zst",
        STEPS,
    ),
    (
        "docs/how-to/stages.md",
        "bootgate run gate.toml --stage export --from boot.tar.zst --output export.tar.zst",
        STEPS,
    ),
    (
        "docs/how-to/stages.md",
        "bootgate decide boot.tar.zst export.tar.zst install.tar.zst installed.tar.zst",
        STEPS,
    ),
    ("docs/how-to/reopen.md", "bootgate inspect last", HELD),
    (
        "docs/how-to/reopen.md",
        "bootgate inspect last disk cat /etc/fstab",
        REOPENED,
    ),
    ("docs/how-to/reopen.md", "bootgate inspect last resume", HELD),
    ("docs/how-to/reopen.md", "bootgate inspect last console", HELD),
    (
        "docs/how-to/reopen.md",
        "bootgate inspect last quit",
        Test("real_hold/end.rs", "quit_and_extend_and_reap"),
    ),
    (
        "docs/how-to/reopen.md",
        "bootgate reopen failed.tar.zst registers",
        REOPENED,
    ),
    ("docs/how-to/reopen.md", "bootgate reopen failed.tar.zst", REOPENED),
    ("docs/how-to/rules.md", "bootgate triage job.log", Ends(1)),
];

const HELD: Proof = Test("real_hold/verbs.rs", "every_verb_on_a_held_machine");
const REOPENED: Proof = Test("real_bundle.rs", "a_failed_machine_is_opened_again_elsewhere");
const STEPS: Proof = Test("real_stages.rs", "a_gate_goes_from_machine_to_machine_as_bundles");
const TUTORIAL: Proof = Test("real_docs.rs", "the_tutorial_is_played");
