//! The composite action, step by step as the runner does it: its outputs, its summary, its marks, and the signals of a
//! cancelled job.

#[path = "support/ci_log.rs"]
mod ci_log;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/tiny.rs"]
mod tiny;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ci_log::{Obeyed, github};
use gate::{Boots, GateFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tiny::repository;
use yaml_rust2::{Yaml, YamlLoader};

/// A job on a runner of our own.
struct Job {
    folder: TempDir,
    inputs: BTreeMap<String, String>,
}

/// What a step came to.
struct Step {
    code: i32,
    log: String,
}

impl Job {
    fn new(inputs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["work", "temp", "bin"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let bootgate = folder.path().join("bin/bootgate");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_bootgate"), bootgate).unwrap();
        let given = inputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut inputs = defaults(&action());
        inputs.extend(given);
        Self { folder, inputs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The value of an expression of the action: only inputs stand there.
    fn value(&self, text: &str) -> String {
        let name = text
            .strip_prefix("${{ inputs.")
            .and_then(|rest| rest.strip_suffix(" }}"));
        self.inputs[name.unwrap_or_else(|| panic!("{text} is no input"))].clone()
    }

    /// The step with this name, as the runner starts it: `bash --noprofile --norc -eo pipefail FILE`.
    fn command(&self, name: &str) -> Command {
        let action = action();
        let steps = action["runs"]["steps"].as_vec().unwrap();
        let step = steps.iter().find(|step| step["name"].as_str() == Some(name)).unwrap();
        let script = self.path("temp/step.sh");
        std::fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(script);
        for (name, value) in step["env"].as_hash().unwrap() {
            command.env(name.as_str().unwrap(), self.value(value.as_str().unwrap()));
        }
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command
            .current_dir(self.path("work"))
            .env("PATH", path)
            .env("CI", "true")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_ACTION_PATH", repository().join(".github/actions/gate"))
            .env("GITHUB_WORKSPACE", self.path("work"))
            .env("RUNNER_TEMP", self.path("temp"))
            .envs(["OUTPUT", "STEP_SUMMARY", "PATH"].map(|name| (format!("GITHUB_{name}"), self.path(name))))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str) -> Step {
        let output = self.command(name).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Step {
            code: output.status.code().unwrap(),
            log: text(&output.stdout) + &text(&output.stderr),
        }
    }

    /// The outputs that the step has set.
    fn outputs(&self) -> BTreeMap<String, String> {
        let text = self.read("OUTPUT");
        let mut lines = text.lines();
        let mut outputs = BTreeMap::new();
        while let Some((name, delimiter)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            outputs.insert(name.to_owned(), value.join("\n"));
        }
        outputs
    }
}

fn action() -> Yaml {
    let text = std::fs::read_to_string(repository().join(".github/actions/gate/action.yml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

fn defaults(action: &Yaml) -> BTreeMap<String, String> {
    let inputs = action["inputs"].as_hash().unwrap().iter();
    let default = |input: &Yaml| input["default"].as_str().unwrap_or_default().to_owned();
    inputs
        .map(|(name, input)| (name.as_str().unwrap().to_owned(), default(input)))
        .collect()
}

/// A gate of one stage on the tiny guest, in the job's checkout.
fn write_gate(job: &Job, change: impl Fn(&mut GateFile)) {
    let mut gate = GateFile::new(Boots::Kernel);
    gate.put("gate", "action".into());
    gate.truncate(1);
    change(&mut gate);
    gate.write(&job.path("work"));
}

fn names(commands: &[Obeyed]) -> Vec<&str> {
    commands.iter().map(|command| command.name.as_str()).collect()
}

#[test]
fn a_gate_that_passes_sets_outputs_and_a_summary() {
    let job = Job::new(&[("gate", "gate.toml"), ("packages", "false")]);
    write_gate(&job, |_| {});
    let installed = job.run("Install bootgate");
    assert_eq!(installed.code, 0, "{}", installed.log);
    assert!(job.read("PATH").trim().ends_with("temp/bootgate/bin"));
    assert_eq!(job.run("Packages and KVM").code, 0);
    let doctor = job.run("Look at this host");
    assert_eq!(
        (doctor.code, names(&github(&doctor.log)).as_slice()),
        (0, ["group", "endgroup"].as_slice()),
        "{}",
        doctor.log
    );
    let run = job.run("Run the gate");
    assert_eq!(run.code, 0, "{}", run.log);
    assert_eq!(names(&github(&run.log)), ["group", "endgroup"], "{}", run.log);
    let outputs = job.outputs();
    assert_eq!(
        (outputs["verdict"].as_str(), outputs["exit-code"].as_str()),
        ("passed", "0")
    );
    for name in ["run-dir", "result", "junit", "summary"] {
        assert!(Path::new(&outputs[name]).exists(), "{name}: {outputs:?}");
    }
    let summary = job.read("STEP_SUMMARY");
    assert!(summary.starts_with("## ✅ gate `action`: passed"), "{summary}");
    assert_eq!(summary, std::fs::read_to_string(&outputs["summary"]).unwrap());
}

#[test]
fn a_gate_that_fails_is_marked_at_its_line() {
    let job = Job::new(&[("gate", "gate.toml"), ("arguments", "--on-failure\ndiscard\n")]);
    write_gate(&job, |gate| gate.faults("fault:panic"));
    // The action's own `--on-failure` may be said only once.
    let twice = job.run("Run the gate");
    assert_eq!(twice.code, 2, "{}", twice.log);
    let mut job = job;
    job.inputs.insert("arguments".to_owned(), String::new());
    let run = job.run("Run the gate");
    assert_eq!(run.code, 1, "{}", run.log);
    let marks = github(&run.log);
    let mark = marks
        .iter()
        .find(|command| command.name == "error")
        .unwrap_or_else(|| panic!("{}", run.log));
    let gate = std::fs::read_to_string(job.path("work/gate.toml")).unwrap();
    let line = 1 + gate.lines().position(|line| line == "[[stage]]").unwrap();
    let expected = [("file", "gate.toml".to_owned()), ("line", line.to_string())];
    for (property, (name, value)) in mark.properties.iter().zip(expected) {
        assert_eq!((property.0.as_str(), &property.1), (name, &value));
    }
    let outputs = job.outputs();
    assert_eq!(
        (outputs["verdict"].as_str(), outputs["cause"].as_str()),
        ("failed", "kernel-panic")
    );
    assert!(Path::new(&outputs["bundle"]).is_file(), "{outputs:?}");
    assert!(job.read("STEP_SUMMARY").contains("**Bundle:**"));
}

/// Reads the log until a line has this.
fn until(log: &mut impl Iterator<Item = std::io::Result<String>>, wanted: &str) {
    let found = log.by_ref().map(Result::unwrap).any(|line| line.contains(wanted));
    assert!(found, "no `{wanted}` in the log");
}

#[test]
fn a_cancelled_jobs_signal_reaches_bootgate() {
    let job = Job::new(&[("gate", "gate.toml")]);
    write_gate(&job, |gate| gate.faults("fault:no-marker"));
    let mut child: Child = job.command("Run the gate").stdout(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    until(&mut log, "kernel-seen");
    // To the step's shell alone, whose place bootgate has taken.
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    until(&mut log, "Verdict:  cancelled");
    let rest: Vec<_> = log.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{rest:?}");
    let outputs = job.outputs();
    assert_eq!(
        (outputs["verdict"].as_str(), outputs["exit-code"].as_str()),
        ("cancelled", "143")
    );
    assert!(Path::new(&outputs["result"]).exists());
    assert!(names(&github(&rest.join("\n"))).contains(&"warning"), "{rest:?}");
}

#[test]
fn a_release_is_installed_by_its_digest_only() {
    let mut job = Job::new(&[("gate", "gate.toml"), ("version", "v1")]);
    let refused = job.run("Install bootgate");
    assert_eq!(refused.code, 2, "{}", refused.log);
    assert_eq!(names(&github(&refused.log)), ["error"]);
    let releases = job.path("releases/v1");
    std::fs::create_dir_all(&releases).unwrap();
    // As `.github/release/build.sh` makes it.
    let name = format!("bootgate-1-{}-unknown-linux-musl", std::env::consts::ARCH);
    let archive = releases.join(format!("{name}.tar.gz"));
    let packed = Command::new("tar")
        .args(["-czhf"])
        .arg(&archive)
        .args(["--transform", &format!("s,^,{name}/bin/,"), "-C"])
        .arg(job.path("bin"))
        .arg("bootgate")
        .status();
    assert!(packed.unwrap().success());
    let install = |job: &Job| {
        let mut command = job.command("Install bootgate");
        command.env(
            "BOOTGATE_RELEASES",
            format!("file://{}", job.path("releases").display()),
        );
        command.output().unwrap()
    };
    job.inputs.insert("sha256".to_owned(), "00".repeat(32));
    assert!(!install(&job).status.success(), "another digest");
    let digest = Command::new("sha256sum").arg(&archive).output().unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    job.inputs
        .insert("sha256".to_owned(), digest.split(' ').next().unwrap().to_owned());
    let installed = install(&job);
    assert!(
        installed.status.success(),
        "{}",
        String::from_utf8_lossy(&installed.stderr)
    );
    assert!(String::from_utf8_lossy(&installed.stdout).starts_with("bootgate "));
}
