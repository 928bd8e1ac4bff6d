//! The plan as text, for a person who wants to know what a gate will do before it does it.

use std::fmt::Write as _;

use super::{
    Condition, DiskUse, FailurePolicy, HostPlan, ImagePlan, ImageSource, LoginPlan, OpenBy, Pattern, Plan,
    PromptChannel, SecretSource, SshPlan, StageKind, StagePlan,
};
use crate::units::{ByteSize, human_span};

/// The width of the column that says what a line is about.
const LABEL_WIDTH: usize = 10;

/// The plan as text: image, machine, disks, console, SSH and a table of the stages. Holds no secret.
pub fn describe(plan: &Plan) -> String {
    let mut page = Page::default();
    page.line("gate", &plan.gate);
    page.line("file", &plan.file.to_string_lossy());
    describe_image(&mut page, &plan.image);
    describe_machine(&mut page, plan);
    describe_host(&mut page, &plan.host);
    for disk in &plan.disks {
        let target = if disk.target { ", the target" } else { "" };
        let keep = if disk.keep { ", kept" } else { "" };
        let (name, size, format, cache) = (&disk.name, disk.size_bytes, disk.format.as_str(), disk.cache.as_str());
        page.line(
            "disk",
            &format!("{name}: {size}, {format}, cache {cache}{target}{keep}"),
        );
    }
    for marker in &plan.console.markers {
        let named = match &marker.pattern {
            Pattern::Text(text) | Pattern::Regex(text) if *text == marker.name => String::new(),
            _ => format!("{}: ", marker.name),
        };
        page.line("marker", &format!("{named}{}", marker.pattern));
    }
    for pattern in &plan.console.fail {
        page.line("fails on", &pattern.to_string());
    }
    match &plan.ssh {
        Some(ssh) => describe_ssh(&mut page, ssh),
        None => page.line("ssh", "not used"),
    }
    for rules in &plan.rules {
        page.line("rules", &format!("{}, before the built-in ones", rules.display()));
    }
    if let Some(stages) = &plan.require {
        page.line("publishes", &format!("only with {}", stages.join(", ")));
    }
    let policy = match plan.on_failure {
        None => "on a terminal the machine is held for a person, elsewhere it becomes a bundle",
        Some(FailurePolicy::Discard) => "the evidence is kept, the machine is ended",
        Some(FailurePolicy::Hold) => "the machine is held for a person; under CI=true it becomes a bundle",
        Some(FailurePolicy::Bundle) => "the machine becomes a bundle",
    };
    page.line("on failure", policy);
    let scale = plan
        .timeout_scale
        .map_or_else(|| "by accelerator".to_owned(), |scale| format!("× {scale}"));
    page.line("deadlines", &format!("as below, scaled {scale}"));
    page.0.push('\n');
    page.0.push_str(&table(plan));
    for stage in &plan.stages {
        page.0.push('\n');
        describe_stage(&mut page, stage);
    }
    page.0
}

/// Labelled lines. Control characters of a gate file are shown escaped, so no value can move the terminal's cursor.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, label: &str, value: &str) {
        let escape = |c: char| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        };
        let value: String = value.chars().map(escape).collect();
        let _ = writeln!(self.0, "{label:LABEL_WIDTH$}  {value}");
    }
}

fn describe_image(page: &mut Page, image: &ImagePlan) {
    let attach = image.attach.as_str();
    match &image.source {
        ImageSource::Iso(path) => page.line("image", &format!("{} (ISO, as {attach})", path.display())),
        ImageSource::Disk { path, format } => {
            let format = format.as_str();
            page.line(
                "image",
                &format!("{} ({format} disk, as {attach}, not written)", path.display()),
            );
        }
        ImageSource::Kernel { kernel, initrd, append } => {
            page.line(
                "kernel",
                &format!("{} (loaded by QEMU; no boot loader is tested)", kernel.display()),
            );
            if let Some(initrd) = initrd {
                page.line("initrd", &initrd.to_string_lossy());
            }
            page.line("append", append);
        }
    }
    page.line("sha256", image.sha256.as_deref().unwrap_or("not pinned"));
    if let Some(production) = &image.production {
        page.line("publishes", &production.to_string_lossy());
    }
}

fn describe_host(page: &mut Page, host: &HostPlan) {
    if let Some(scratch) = &host.scratch {
        page.line("scratch", &format!("{} (the disks)", scratch.display()));
    }
    if let Some(budget) = host.disk_budget {
        page.line("budget", &format!("{budget} for all disks together"));
    }
    match host.reserve {
        Some(ByteSize(0)) => page.line("reserve", "none: nobody watches the host's disk"),
        Some(reserve) => page.line("reserve", &format!("{reserve} stay free on the host's disks")),
        None => {}
    }
}

fn describe_machine(page: &mut Page, plan: &Plan) {
    let machine = &plan.machine;
    let (arch, firmware) = (machine.arch.as_str(), machine.firmware.as_str());
    let (cpus, memory, accelerator) = (machine.cpus, machine.memory, machine.accelerator.as_str());
    page.line(
        "machine",
        &format!("{arch}, {firmware}, {cpus} CPUs, {memory}, accelerator {accelerator}"),
    );
    if let Some(model) = &machine.cpu_model {
        page.line("cpu model", model);
    }
    page.line("qemu", &machine.qemu.to_string_lossy());
    for directory in &machine.qemu_data {
        page.line("qemu data", &directory.to_string_lossy());
    }
    if !machine.extra_args.is_empty() {
        page.line("extra", &machine.extra_args.join(" "));
    }
    let network = match machine.network {
        super::Network::Isolated => "isolated: the guest reaches nothing",
        super::Network::Open => "open: the guest reaches what the host reaches",
    };
    page.line("network", network);
}

fn describe_ssh(page: &mut Page, ssh: &SshPlan) {
    page.line("ssh", &login_text(&ssh.login()));
    if let Some(open_by) = &ssh.open_by {
        page.line("", &open_by_text(open_by));
    }
    let (logins, window) = (ssh.stable_logins, human_span(ssh.stable_window));
    let (appear, stable) = (human_span(ssh.appear_within), human_span(ssh.stable_within));
    let retry = human_span(ssh.retry_every);
    page.line(
        "",
        &format!("stable after {logins} logins in a row over at least {window}, tried every {retry}"),
    );
    page.line(
        "",
        &format!("an answer within {appear} of the marker, stable {stable} later"),
    );
}

fn open_by_text(open_by: &OpenBy) -> String {
    match open_by {
        OpenBy::SerialLogin(login) => {
            let password = login.password.as_ref();
            let password = password.map(|source| format!(" with password {}", source_text(source)));
            let start = login.start.as_deref().unwrap_or("the unit that the image has");
            let (user, within) = (&login.user, human_span(login.within));
            let password = password.unwrap_or_default();
            format!("opened by a login on the serial console as {user}{password} within {within}; starts: {start}")
        }
        OpenBy::Credentials(credentials) => {
            format!(
                "opened by systemd credentials; starts: {}",
                credentials.units.join(", ")
            )
        }
    }
}

fn login_text(login: &LoginPlan) -> String {
    let password = login
        .password
        .as_ref()
        .map(|source| format!("password {}", source_text(source)));
    let key = login.key.as_ref().map(|source| format!("key {}", source_text(source)));
    let proofs: Vec<_> = [password, key].into_iter().flatten().collect();
    if proofs.is_empty() {
        return format!("{} with a key made for the run", login.user);
    }
    format!("{} with {}", login.user, proofs.join(" or "))
}

fn source_text(source: &SecretSource) -> String {
    match source {
        SecretSource::Inline(_) => "from the gate file".to_owned(),
        SecretSource::Environment(name) => format!("from ${name}"),
        SecretSource::File(path) => format!("from {}", path.display()),
    }
}

fn table(plan: &Plan) -> String {
    let mut rows = vec![["stage", "kind", "vm", "memory", "cpus", "timeout", "warns", "claims"].map(str::to_owned)];
    for (at, stage) in plan.stages.iter().enumerate() {
        rows.push([
            stage.name.clone(),
            stage.kind.as_str().to_owned(),
            stage.vm.as_str().to_owned(),
            plan.memory(at).to_string(),
            plan.cpus(at).to_string(),
            human_span(stage.timeout),
            human_span(stage.warn_after),
            stage.claims.to_string(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let line = |row: &[String; 8]| {
        let cells: Vec<_> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn describe_stage(page: &mut Page, stage: &StagePlan) {
    page.line("stage", &stage.name);
    if stage.disks == DiskUse::Fresh {
        page.line("disks", "blank again");
    }
    if let Some(login) = &stage.login {
        page.line("ssh", &login_text(login));
    }
    match &stage.kind {
        StageKind::Boot => page.line("boots", &format!("the image, until `{}`", stage.claims)),
        StageKind::Command {
            uploads,
            command,
            pass,
            fail,
            until,
            only_tests_if,
            no_progress,
        } => {
            for upload in uploads {
                let (from, to, mode) = (upload.from.display(), &upload.to, upload.mode);
                page.line("uploads", &format!("{from} to {to}, mode {mode:04o}"));
            }
            page.line("runs", command);
            for pattern in pass {
                page.line("must print", &pattern.to_string());
            }
            for pattern in fail {
                page.line("fails on", &pattern.to_string());
            }
            for pattern in until {
                page.line("ends well", &format!("at {pattern}, and never without"));
            }
            if let Some(condition) = only_tests_if {
                let Condition { command, because } = condition;
                page.line("only tests", &format!("if `{command}` succeeds: {because}"));
            }
            page.line("silence", &format!("{} at most", human_span(*no_progress)));
        }
        StageKind::InstalledBoot {
            target,
            unlock,
            login_settle,
            verify_ssh,
            target_check,
        } => {
            page.line("target", &target.to_string());
            if let Some(unlock) = unlock {
                let place = match unlock.channel {
                    PromptChannel::Auto => "",
                    PromptChannel::Serial => " on the serial console",
                    PromptChannel::Screen => " on the screen",
                };
                let answer = source_text(&unlock.answer);
                page.line("unlocks", &format!("at {}{place}, answer {answer}", unlock.pattern));
            }
            page.line(
                "login",
                &format!("a prompt may stand {} before the target", human_span(*login_settle)),
            );
            if let Some(check) = target_check {
                page.line("then asks", &format!("over SSH: `{check}`"));
            }
            let verify = if *verify_ssh {
                "by a login over SSH"
            } else {
                "by the console alone"
            };
            page.line("confirmed", verify);
        }
    }
}
