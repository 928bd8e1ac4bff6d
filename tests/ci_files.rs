//! The action, the examples and the workflows name only what is there: files, inputs, make's targets, bootgate's options. No
//! expression stands in a shell's text, and every action is pinned.

mod cli_support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cli_support::{ROOT, run};
use yaml_rust2::{Yaml, YamlLoader};

fn root() -> &'static Path {
    Path::new(ROOT)
}

fn action() -> PathBuf {
    root().join(".github/actions/gate/action.yml")
}

fn load(path: &Path) -> Yaml {
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(documents.len(), 1, "{}", path.display());
    documents.remove(0)
}

/// Every file for GitHub.
fn github_files() -> Vec<PathBuf> {
    let workflows = std::fs::read_dir(root().join(".github/workflows")).unwrap();
    let workflows = workflows.map(|entry| entry.unwrap().path());
    workflows
        .chain([action(), root().join(".github/examples/live-iso.yml")])
        .collect()
}

fn keys(yaml: &Yaml) -> BTreeSet<String> {
    let hash = yaml.as_hash().unwrap_or_else(|| panic!("no table: {yaml:?}"));
    hash.keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// Every step of a workflow or a composite action.
fn steps(file: &Yaml) -> Vec<&Yaml> {
    let jobs = file["jobs"].as_hash().into_iter().flat_map(|jobs| jobs.values());
    let lists = jobs.map(|job| &job["steps"]).chain([&file["runs"]["steps"]]);
    lists.filter_map(Yaml::as_vec).flatten().collect()
}

/// The text of every shell.
fn shells(path: &Path) -> Vec<String> {
    let file = load(path);
    let runs = steps(&file)
        .into_iter()
        .filter_map(|step| step["run"].as_str().map(str::to_owned));
    runs.collect()
}

fn scripts() -> Vec<String> {
    let folder = std::fs::read_dir(root().join(".github/actions/gate")).unwrap();
    let scripts = folder.map(|entry| entry.unwrap().path());
    let scripts = scripts.filter(|path| path.extension().is_some_and(|extension| extension == "sh"));
    scripts.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn no_expression_stands_in_a_shells_text() {
    for path in github_files() {
        for text in shells(&path) {
            assert!(!text.contains("${{"), "{}: {text}", path.display());
        }
        let file = load(&path);
        for step in steps(&file) {
            let whole = [step["run"].is_badvalue(), step["uses"].is_badvalue()];
            assert!(
                whole[0] != whole[1],
                "{}: a step runs something or uses something: {step:?}",
                path.display()
            );
        }
    }
}

#[test]
fn every_action_is_pinned_or_ours() {
    let pinned = regex::Regex::new(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$").unwrap();
    for path in github_files() {
        let file = load(&path);
        for step in steps(&file) {
            let Some(used) = step["uses"].as_str() else { continue };
            match used.strip_prefix("./") {
                Some(ours) => assert!(root().join(ours).join("action.yml").is_file(), "{used}"),
                None => assert!(pinned.is_match(used), "{}: {used}", path.display()),
            }
        }
    }
}

#[test]
fn the_action_has_every_input_and_output_that_is_used() {
    let action = load(&action());
    let inputs = keys(&action["inputs"]);
    let text = std::fs::read_to_string(self::action()).unwrap();
    let used = regex::Regex::new(r"inputs\.([\w-]+)").unwrap();
    let used: BTreeSet<_> = used.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    assert_eq!(used, inputs, "each input is used, and no other");
    for input in &inputs {
        let input = &action["inputs"][input.as_str()];
        assert!(
            input["required"].as_bool() == Some(true) || input["default"].as_str().is_some(),
            "{input:?}"
        );
    }
    let example = load(&root().join(".github/examples/live-iso.yml"));
    for step in steps(&example) {
        if step["uses"].as_str() == Some("./.github/actions/gate") {
            assert!(keys(&step["with"]).is_subset(&inputs), "{step:?}");
            assert!(
                step["timeout-minutes"].as_i64().is_some(),
                "a step has its own limit: {step:?}"
            );
        }
    }
    let outputs = keys(&action["outputs"]);
    let report = std::fs::read_to_string(root().join("src/report/closing.rs")).unwrap();
    for output in outputs {
        assert!(
            report.contains(&format!("(\"{output}\", ")),
            "no output `{output}` is written"
        );
    }
}

#[test]
fn every_file_and_variable_of_the_action_is_there() {
    let action = load(&action());
    let script = regex::Regex::new(r#"^exec "\$GITHUB_ACTION_PATH/([\w.]+)"$"#).unwrap();
    let variable = regex::Regex::new(r"\$\{?([A-Z][A-Z0-9_]*)").unwrap();
    for step in steps(&action) {
        let Some(run) = step["run"].as_str() else { continue };
        assert_eq!(step["shell"].as_str(), Some("bash"), "{step:?}");
        let name = &script
            .captures(run)
            .unwrap_or_else(|| panic!("a step is one script: {run}"))[1];
        let text = std::fs::read_to_string(root().join(".github/actions/gate").join(name)).unwrap();
        let given = keys(&step["env"]);
        let wanted = variable.captures_iter(&text).map(|found| found[1].to_owned());
        let theirs =
            |name: &String| name.starts_with("GITHUB_") || name.starts_with("RUNNER_") || name.starts_with("BOOTGATE_");
        let wanted: BTreeSet<_> = wanted
            .filter(|name| !theirs(name) && name != "EUID" && name != "PATH")
            .collect();
        assert_eq!(given, wanted, "{name}");
    }
}

/// `--option`s behind `bootgate WORD`, and the word.
fn calls(text: &str) -> Vec<(String, Vec<String>)> {
    let call = regex::Regex::new(r"(?m)bootgate (run|doctor|decide|inspect|triage|check)\b([^\n&|;]*)").unwrap();
    let option = regex::Regex::new(r"(?:^|[\s(])(--[a-z-]+)").unwrap();
    let options = |rest: &str| option.captures_iter(rest).map(|found| found[1].to_owned()).collect();
    call.captures_iter(text)
        .map(|found| (found[1].to_owned(), options(&found[2])))
        .collect()
}

#[test]
fn every_command_and_option_exists() {
    let gitlab = std::fs::read_to_string(root().join(".github/examples/gitlab-ci.yml")).unwrap();
    let example = std::fs::read_to_string(root().join(".github/examples/live-iso.yml")).unwrap();
    let mut calls: Vec<_> = [gitlab, example].iter().flat_map(|text| calls(text)).collect();
    // The scripts gather arguments: `arguments=(run … --ci github)`, `arguments+=(--stage …)`.
    let gathered = regex::Regex::new(r"arguments\+?=\((?:(run|doctor) )?([^)]*)\)").unwrap();
    for text in scripts() {
        let mut command = String::new();
        for found in gathered.captures_iter(&text) {
            if let Some(word) = found.get(1) {
                command = word.as_str().to_owned();
            }
            let options = found[2].split_whitespace().filter(|word| word.starts_with("--"));
            calls.push((command.clone(), options.map(str::to_owned).collect()));
        }
    }
    assert!(calls.len() >= 10, "{calls:?}");
    for (command, options) in calls {
        let help = run([command.as_str(), "--help"]);
        assert_eq!(help.code, Some(0), "`bootgate {command}`: {help:?}");
        for option in options {
            let named = regex::Regex::new(&format!(r"(?m)^\s+(-\w, )?{option}\b")).unwrap();
            assert!(named.is_match(&help.stdout), "`bootgate {command}` has no {option}");
        }
    }
}

#[test]
fn every_target_of_make_exists() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let target = regex::Regex::new(r"(?m)^\s*(?:exec )?make ([a-z0-9 ]+)$").unwrap();
    let in_loop = regex::Regex::new(r"make ([a-z0-9]+);").unwrap();
    for path in github_files() {
        for text in shells(&path) {
            let found = target.captures_iter(&text).chain(in_loop.captures_iter(&text));
            for name in found.flat_map(|found| found[1].split(' ').map(str::to_owned).collect::<Vec<_>>()) {
                let there = makefile.contains(&format!("\n{name}:"));
                assert!(there, "{}: make has no `{name}`", path.display());
            }
        }
    }
}

#[test]
fn every_script_of_the_repository_that_a_workflow_runs_is_there() {
    let script = regex::Regex::new(r"(?m)^\s*((?:\.ci|\.github|fixtures)/[\w./-]+)").unwrap();
    let mut count = 0;
    for path in github_files() {
        for text in shells(&path) {
            for found in script.captures_iter(&text) {
                count += 1;
                let file = root().join(&found[1]);
                let mode =
                    std::fs::metadata(&file).map(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()));
                assert!(
                    mode.is_ok_and(|mode| mode & 0o111 != 0),
                    "{}: {}",
                    path.display(),
                    &found[1]
                );
            }
        }
    }
    assert!(count > 0);
}

/// A release is what is tested and nothing else: one script builds it, a tag that is not the version builds nothing, and each job
/// has the rights that it needs and no other.
#[test]
fn a_release_is_built_by_one_script_and_signed() {
    let file = load(&root().join(".github/workflows/release.yml"));
    let jobs = &file["jobs"];
    assert_eq!(
        keys(&jobs["build"]["permissions"]),
        ["attestations", "contents", "id-token"].map(str::to_owned).into()
    );
    assert_eq!(jobs["build"]["permissions"]["contents"].as_str(), Some("read"));
    assert_eq!(keys(&jobs["publish"]["permissions"]), ["contents".to_owned()].into());
    let position = |words: &str| {
        let steps = jobs["build"]["steps"].as_vec().unwrap();
        let said = |step: &Yaml, key: &str| step[key].as_str().is_some_and(|text| text.contains(words));
        let found = steps.iter().position(|step| said(step, "run") || said(step, "uses"));
        found.unwrap_or_else(|| panic!("no step of the build says `{words}`"))
    };
    let order = [
        "GITHUB_REF_NAME",
        "release/build.sh",
        "attest-build-provenance",
        "upload-artifact",
    ]
    .map(position);
    assert!(order.is_sorted(), "{order:?}");
    let script = std::fs::read_to_string(root().join(".github/release/build.sh")).unwrap();
    let version = regex::Regex::new(r"readonly CARGO_DEB=(\S+)").unwrap();
    let version = &version.captures(&script).unwrap()[1];
    let install = format!("cargo install --locked --version {version} cargo-deb");
    assert!(
        shells(&root().join(".github/workflows/release.yml")).contains(&install),
        "{install}"
    );
}

#[test]
fn the_jobs_of_the_gitlab_example_follow_each_other() {
    let file = load(&root().join(".github/examples/gitlab-ci.yml"));
    let stages: Vec<_> = file["stages"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|stage| stage.as_str().unwrap())
        .collect();
    for stage in &stages {
        let job = &file[*stage];
        assert_eq!(
            (job["stage"].as_str(), job["extends"].as_str()),
            (Some(*stage), Some(".gate"))
        );
        for need in job["needs"].as_vec().into_iter().flatten() {
            assert!(stages.contains(&need.as_str().unwrap()), "{need:?}");
        }
        let script = job["script"].as_vec().unwrap();
        assert!(
            script.last().unwrap().as_str().unwrap().starts_with("exec bootgate "),
            "signals reach bootgate: {script:?}"
        );
    }
    assert_eq!(
        file[".gate"]["when"].as_str(),
        Some("always"),
        "a stage that was not tested says so"
    );
    assert_eq!(
        file[".gate"]["artifacts"]["reports"]["junit"].as_str(),
        Some("runs/$CI_JOB_NAME/*/junit.xml")
    );
}
