//! Plans that between them use everything that a machine can be asked for: what the walk explores.

use std::path::PathBuf;
use std::time::Duration;

use crate::machine::{Left, Part, Step};
use crate::plan::{
    Accelerator, Arch, Attachment, Condition, ConsolePlan, DiskCache, DiskFormat, DiskPlan, DiskUse, Evidence,
    FailurePolicy, Firmware, HostPlan, ImagePlan, ImageSource, MachinePlan, MarkerPlan, Network, OpenBy, Pattern, Plan,
    Prompt, PromptChannel, Secret, SecretSource, SerialLogin, SshPlan, StageKind, StagePlan, VmUse,
};
use crate::units::{ByteSize, GIB};

fn stage(name: &str, kind: StageKind, vm: VmUse, claims: Evidence) -> StagePlan {
    StagePlan {
        name: name.to_owned(),
        kind,
        vm,
        disks: DiskUse::Kept,
        memory: None,
        cpus: None,
        timeout: Duration::from_secs(600),
        warn_after: Duration::from_secs(360),
        claims,
        login: None,
    }
}

/// A plan that uses every kind of stage. With `encrypted`, the installed disk asks for a passphrase and a login must
/// confirm the target; without it, the first stage claims no more than the marker, the second one ends at a line and has
/// a condition, and the failed machine is held.
pub fn representative_plan(encrypted: bool) -> Plan {
    Plan {
        gate: "representative".to_owned(),
        file: PathBuf::from("representative.toml"),
        image: ImagePlan {
            source: ImageSource::Iso(PathBuf::from("live.iso")),
            attach: Attachment::Cd,
            sha256: None,
            production: None,
        },
        machine: MachinePlan {
            arch: Arch::X86_64,
            firmware: Firmware::Uefi,
            cpus: 2,
            memory: ByteSize(GIB),
            accelerator: Accelerator::Auto,
            cpu_model: None,
            qemu: PathBuf::from("qemu-system-x86_64"),
            qemu_data: Vec::new(),
            extra_args: Vec::new(),
            network: Network::Isolated,
        },
        host: HostPlan::default(),
        disks: vec![DiskPlan {
            name: "target".to_owned(),
            size_bytes: ByteSize(GIB),
            format: DiskFormat::Raw,
            cache: DiskCache::Unsafe,
            target: true,
            keep: encrypted,
        }],
        console: ConsolePlan {
            markers: vec![MarkerPlan {
                name: "live".to_owned(),
                pattern: Pattern::Text("LIVE-READY".to_owned()),
            }],
            fail: vec![Pattern::Text("BUG:".to_owned())],
        },
        ssh: Some(representative_ssh()),
        stages: representative_stages(encrypted),
        rules: Vec::new(),
        require: None,
        on_failure: Some(if encrypted {
            FailurePolicy::Bundle
        } else {
            FailurePolicy::Hold
        }),
        timeout_scale: None,
    }
}

fn representative_stages(encrypted: bool) -> Vec<StagePlan> {
    let command = StageKind::Command {
        uploads: Vec::new(),
        command: "install".to_owned(),
        pass: vec![Pattern::Text("done".to_owned())],
        fail: vec![Pattern::Text("fatal".to_owned())],
        until: Vec::new(),
        only_tests_if: None,
        no_progress: Duration::from_secs(120),
    };
    let mut export = command.clone();
    if let (
        StageKind::Command {
            until, only_tests_if, ..
        },
        false,
    ) = (&mut export, encrypted)
    {
        until.push(Pattern::Text("exported".to_owned()));
        *only_tests_if = Some(Condition {
            command: "small".to_owned(),
            because: "With more memory the bug hides.".to_owned(),
        });
    }
    let installed = StageKind::InstalledBoot {
        target: Pattern::Text("Reached target graphical.target".to_owned()),
        unlock: encrypted.then(|| Prompt {
            pattern: Pattern::Text("passphrase".to_owned()),
            answer: SecretSource::Inline(Secret::new("secret".to_owned())),
            channel: PromptChannel::Auto,
        }),
        login_settle: Duration::from_secs(20),
        verify_ssh: encrypted,
        target_check: Some("systemctl is-active graphical.target".to_owned()),
    };
    let first_claim = if encrypted { Evidence::Login } else { Evidence::Marker };
    vec![
        stage("boot-live", StageKind::Boot, VmUse::Fresh, first_claim),
        stage("export", export, VmUse::Same, Evidence::Installed),
        stage("install", command, VmUse::Fresh, Evidence::Installed),
        stage("installed", installed, VmUse::Fresh, Evidence::Target),
    ]
}

/// The whole of a plan, and each stage of it as a run of its own. With `ssh_stable`, logins were stable before.
pub fn representative_parts(plan: &Plan, ssh_stable: bool) -> Vec<Part> {
    let left = Left {
        run: "run".to_owned(),
        reached: Some(Evidence::Marker),
        marker_seen: true,
        ssh_stable,
        ..Left::default()
    };
    let step = |stage| {
        let left = (stage > 0).then(|| left.clone());
        Part::Stage(Box::new(Step { stage, left }))
    };
    let steps = (0..plan.stages.len()).map(step);
    std::iter::once(Part::Whole).chain(steps).collect()
}

/// The first two stages of a plan that has no marker and opens the image by a login on its console.
pub fn opened_plan() -> Plan {
    let mut plan = representative_plan(false);
    plan.stages.truncate(2);
    plan.stages[0].claims = Evidence::Login;
    plan.console.markers.clear();
    let ssh = representative_ssh();
    plan.ssh = Some(SshPlan {
        password: None,
        open_by: Some(OpenBy::SerialLogin(SerialLogin {
            user: "root".to_owned(),
            password: None,
            start: None,
            within: Duration::from_secs(60),
        })),
        ..ssh
    });
    plan
}

fn representative_ssh() -> SshPlan {
    SshPlan {
        user: "root".to_owned(),
        password: Some(SecretSource::Inline(Secret::new("secret".to_owned()))),
        key: None,
        open_by: None,
        stable_logins: 3,
        stable_window: Duration::from_secs(2),
        appear_within: Duration::from_secs(60),
        stable_within: Duration::from_secs(90),
        retry_every: Duration::from_secs(1),
    }
}
