//! The plan as JSON, for a program.

use serde_json::{Value as Json, json};

use super::{
    DiskPlan, ImagePlan, ImageSource, LoginPlan, OpenBy, Pattern, Plan, SecretSource, SshPlan, StageKind, StagePlan,
};

/// The plan as JSON. Sizes are bytes, durations milliseconds. Of a secret it says only where it comes from: `inline`,
/// `env:NAME` or `file:PATH`.
pub fn to_json(plan: &Plan) -> Json {
    let machine = &plan.machine;
    let marker = |marker: &super::MarkerPlan| json!({ "name": marker.name, "pattern": pattern(&marker.pattern) });
    json!({
        "gate": plan.gate,
        "file": plan.file.to_string_lossy(),
        "on_failure": plan.on_failure.map(super::FailurePolicy::as_str),
        "timeout_scale": plan.timeout_scale,
        "image": image(&plan.image),
        "machine": {
            "arch": machine.arch.as_str(),
            "firmware": machine.firmware.as_str(),
            "cpus": machine.cpus,
            "memory_bytes": machine.memory.0,
            "accelerator": machine.accelerator.as_str(),
            "cpu_model": machine.cpu_model,
            "qemu": machine.qemu.to_string_lossy(),
            "qemu_data": machine.qemu_data.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "extra_args": machine.extra_args,
            "network": machine.network.as_str(),
        },
        "host": {
            "scratch": plan.host.scratch.as_ref().map(|path| path.to_string_lossy()),
            "disk_budget_bytes": plan.host.disk_budget.map(|size| size.0),
            "reserve_bytes": plan.host.reserve.map(|size| size.0),
        },
        "disks": plan.disks.iter().map(disk).collect::<Vec<_>>(),
        "console": {
            "markers": plan.console.markers.iter().map(marker).collect::<Vec<_>>(),
            "fail": patterns(&plan.console.fail),
        },
        "ssh": plan.ssh.as_ref().map(ssh),
        "triage": { "rules": plan.rules.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>() },
        "publish": { "require": plan.require },
        "stages": (0..plan.stages.len()).map(|at| stage(plan, at)).collect::<Vec<_>>(),
    })
}

fn image(image: &ImagePlan) -> Json {
    let source = match &image.source {
        ImageSource::Iso(path) => json!({ "iso": path.to_string_lossy() }),
        ImageSource::Disk { path, format } => json!({ "disk": path.to_string_lossy(), "format": format.as_str() }),
        ImageSource::Kernel { kernel, initrd, append } => json!({
            "kernel": kernel.to_string_lossy(),
            "initrd": initrd.as_ref().map(|path| path.to_string_lossy()),
            "append": append,
        }),
    };
    let attached = !matches!(image.source, ImageSource::Kernel { .. });
    json!({
        "source": source,
        "attach": attached.then(|| image.attach.as_str()),
        "sha256": image.sha256,
        "production": image.production.as_ref().map(|path| path.to_string_lossy()),
    })
}

fn disk(disk: &DiskPlan) -> Json {
    json!({
        "name": disk.name,
        "size_bytes": disk.size_bytes.0,
        "format": disk.format.as_str(),
        "cache": disk.cache.as_str(),
        "target": disk.target,
        "keep": disk.keep,
    })
}

fn ssh(ssh: &SshPlan) -> Json {
    let mut value = json!({
        "login": login(&ssh.login()),
        "stable_logins": ssh.stable_logins,
        "stable_window_ms": ms(ssh.stable_window),
        "appear_within_ms": ms(ssh.appear_within),
        "stable_within_ms": ms(ssh.stable_within),
        "retry_every_ms": ms(ssh.retry_every),
    });
    if let Some(open_by) = &ssh.open_by {
        value["open_by"] = json!({ open_by.as_str(): self::open_by(open_by) });
    }
    value
}

fn open_by(open_by: &OpenBy) -> Json {
    match open_by {
        OpenBy::SerialLogin(login) => json!({
            "user": login.user,
            "password": login.password.as_ref().map(source),
            "start": login.start,
            "within_ms": ms(login.within),
        }),
        OpenBy::Credentials(credentials) => json!({ "units": credentials.units }),
    }
}

fn stage(plan: &Plan, at: usize) -> Json {
    let stage: &StagePlan = &plan.stages[at];
    json!({
        "name": stage.name,
        "kind": stage.kind.as_str(),
        "vm": stage.vm.as_str(),
        "disks": stage.disks.as_str(),
        "memory_bytes": plan.memory(at).0,
        "cpus": plan.cpus(at),
        "timeout_ms": ms(stage.timeout),
        "warn_after_ms": ms(stage.warn_after),
        "claims": stage.claims.as_str(),
        "login": plan.login(at).as_ref().map(login),
        "does": does(&stage.kind),
    })
}

fn does(kind: &StageKind) -> Json {
    match kind {
        StageKind::Boot => json!({}),
        StageKind::Command {
            uploads,
            command,
            pass,
            fail,
            until,
            only_tests_if,
            no_progress,
        } => {
            let upload = |upload: &super::Upload| {
                let mode = format!("{:04o}", upload.mode);
                json!({ "from": upload.from.to_string_lossy(), "to": upload.to, "mode": mode })
            };
            json!({
                "uploads": uploads.iter().map(upload).collect::<Vec<_>>(),
                "command": command,
                "pass": patterns(pass),
                "fail": patterns(fail),
                "until": patterns(until),
                "only_tests_if": only_tests_if.as_ref().map(|condition| json!({
                    "command": condition.command,
                    "because": condition.because,
                })),
                "no_progress_ms": ms(*no_progress),
            })
        }
        StageKind::InstalledBoot {
            target,
            unlock,
            login_settle,
            verify_ssh,
            target_check,
        } => json!({
            "target": pattern(target),
            "unlock": unlock.as_ref().map(|unlock| json!({
                "prompt": pattern(&unlock.pattern),
                "answer": source(&unlock.answer),
                "channel": unlock.channel.as_str(),
            })),
            "login_settle_ms": ms(*login_settle),
            "verify_ssh": verify_ssh,
            "target_check": target_check,
        }),
    }
}

fn login(login: &LoginPlan) -> Json {
    json!({
        "user": login.user,
        "password": login.password.as_ref().map(source),
        "key": login.key.as_ref().map(source),
    })
}

fn source(source: &SecretSource) -> String {
    match source {
        SecretSource::Inline(_) => "inline".to_owned(),
        SecretSource::Environment(name) => format!("env:{name}"),
        SecretSource::File(path) => format!("file:{}", path.display()),
    }
}

fn patterns(all: &[Pattern]) -> Json {
    all.iter().map(pattern).collect()
}

fn pattern(pattern: &Pattern) -> Json {
    match pattern {
        Pattern::Text(text) => json!({ "text": text }),
        Pattern::Regex(regex) => json!({ "regex": regex }),
    }
}

/// Milliseconds; a gate file's durations fit.
fn ms(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
