//! Whether the image is one to be tested: it is an image, nobody writes it, and it is not what some other run has left.

use std::path::Path;

use jiff::Timestamp;

use crate::evidence::{RunRecord, RunState};
use crate::image::{Foreign, foreign, is_qcow2};
use crate::plan::{DiskFormat, ImageSource, Plan};
use crate::qemu::disk::{self, Writer};
use crate::text::terminal_name;
use crate::units::human_span;

use super::super::host::image_path;
use super::check::Check;

/// How much of the name of a foreign process is shown, in characters.
const NAME_CHARS_MAX: usize = 40;

/// Looks at the image. Whether it is there at all, and not empty, is told with everything else that the gate names.
pub(super) fn check(plan: &Plan) -> Vec<Check> {
    let Some(image) = image_path(plan) else {
        return Vec::new();
    };
    let mut checks = Vec::new();
    checks.extend(form(plan, image));
    if let Ok(Some(writer)) = disk::writer(image) {
        checks.push(written(image, &writer));
    }
    checks.extend(run_of(image).and_then(|run| leftover(plan, image, &run, Timestamp::now())));
    checks
}

/// What is compressed, of another program's format or only a part of a disk: no machine boots it, and the run would only see
/// that nothing comes.
fn form(plan: &Plan, image: &Path) -> Option<Check> {
    let id = "image-form";
    let says_raw = matches!(
        plan.image.source,
        ImageSource::Disk {
            format: DiskFormat::Raw,
            ..
        }
    );
    let name = image.display();
    match foreign(image).ok()? {
        Some(Foreign { what, mend }) => Some(Check::usage(
            id,
            format!("the image `{name}` can't be booted: {what}"),
            mend,
        )),
        None if says_raw && is_qcow2(image).ok()? => {
            let found = format!("the image `{name}` is a qcow2 disk, and the gate says that it is raw");
            Some(Check::usage(id, found, "write `format = \"qcow2\"` in [image]"))
        }
        None => None,
    }
}

fn written(image: &Path, writer: &Writer) -> Check {
    let who = |(pid, name): &(u32, String)| format!("process {pid} ({})", terminal_name(name, NAME_CHARS_MAX));
    let who = match writer.processes.as_slice() {
        [] => "somebody whose processes this user can't see".to_owned(),
        processes => processes.iter().map(who).collect::<Vec<_>>().join(", "),
    };
    let found = format!("the image `{}` is open for writing: {who}", image.display());
    let mend = "wait until that QEMU has ended, or test a copy: what is written while it is tested proves nothing";
    Check::host("image-lock", found, mend)
}

/// The run in whose directory a file lies.
fn run_of(file: &Path) -> Option<RunRecord> {
    let file = file.canonicalize().ok()?;
    let mut above = file.ancestors().skip(1);
    above.find_map(|directory| RunRecord::read(directory).ok())
}

/// What a run has left is no image, unless the gate says by its digest that just this one is meant: it may be of another
/// gate, of yesterday, or half written.
fn leftover(plan: &Plan, image: &Path, run: &RunRecord, now: Timestamp) -> Option<Check> {
    let id = "stale-image";
    let whose = if run.info.gate == plan.gate {
        "an earlier run of this gate".to_owned()
    } else {
        format!("a run of the gate `{}`", terminal_name(&run.info.gate, NAME_CHARS_MAX))
    };
    let started = run.info.started.parse::<Timestamp>().ok();
    let age = started.map(|started| human_span(now.duration_since(started).unsigned_abs()));
    let age = age.map(|age| format!(", begun {age} ago"));
    let found = format!(
        "the image `{}` is what {whose} has left ({}{})",
        image.display(),
        run.info.id,
        age.unwrap_or_default()
    );
    match run.verdict_state() {
        Ok(RunState::Live) => {
            let mend = "that run goes on: wait for its end, or end it with `bootgate reap`";
            Some(Check::host(id, found, mend))
        }
        _ if plan.image.sha256.is_some() => None,
        _ => {
            let mend = "pin it with `sha256` in [image] if just this one is meant, or name an image that was built";
            Some(Check::usage(id, found, mend))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::RunDir;
    use crate::machine::representative_plan;

    #[test]
    fn what_another_run_has_left_is_refused_unless_it_is_declared() {
        let root = tempfile::tempdir().unwrap();
        let started: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        let run = RunDir::create(root.path(), "other", started).unwrap();
        let disk = run.file("disks/target.raw").unwrap();
        std::fs::write(&disk, "a disk").unwrap();
        let mut plan = representative_plan(false);
        plan.image.source = ImageSource::Iso(disk.clone());
        let found = |plan: &Plan| check(plan).pop();
        assert_eq!(found(&plan).unwrap().exit_code(), 4, "its run goes on");
        drop(run);
        let stale = found(&plan).unwrap();
        assert_eq!((stale.id, stale.exit_code()), ("stale-image", 2));
        assert!(stale.found.contains("a run of the gate `other`"), "{stale:?}");
        plan.image.sha256 = Some("00".repeat(32));
        assert_eq!(found(&plan), None);
        plan.image.sha256 = None;
        plan.image.source = ImageSource::Iso(root.path().join("built.iso"));
        assert_eq!(found(&plan), None);
    }

    #[test]
    fn what_no_machine_boots_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("disk");
        let mut plan = representative_plan(false);
        let mut of = |bytes: &[u8], format: Option<DiskFormat>| {
            std::fs::write(&path, bytes).unwrap();
            plan.image.source = match format {
                Some(format) => ImageSource::Disk {
                    path: path.clone(),
                    format,
                },
                None => ImageSource::Iso(path.clone()),
            };
            let check = check(&plan).pop()?;
            assert_eq!((check.id, check.exit_code()), ("image-form", 2));
            Some((check.found.replace(&*path.to_string_lossy(), "x"), check.mend.unwrap()))
        };
        let (found, mend) = of(b"\x1f\x8b\x08", None).unwrap();
        assert_eq!(found, "the image `x` can't be booted: it is compressed with gzip");
        assert!(mend.starts_with("unpack it: gunzip -c "), "{mend}");
        let qcow2 = [&b"QFI\xfb\0\0\0\x03"[..], &[0; 512]].concat();
        assert_eq!(of(&qcow2, Some(DiskFormat::Qcow2)), None);
        let (found, mend) = of(&qcow2, Some(DiskFormat::Raw)).unwrap();
        assert_eq!(found, "the image `x` is a qcow2 disk, and the gate says that it is raw");
        assert_eq!(mend, "write `format = \"qcow2\"` in [image]");
        assert_eq!(of(&[0; 4096], Some(DiskFormat::Raw)), None);
        assert_eq!(of(&[0; 4096], None), None, "the run tells what nothing comes of");
    }

    #[test]
    fn who_writes_an_image_is_named() {
        let image = Path::new("/srv/live.iso");
        let known = Writer {
            processes: vec![(4242, "qemu-system-x86".to_owned())],
        };
        assert!(written(image, &known).found.ends_with("process 4242 (qemu-system-x86)"));
        let unknown = Writer { processes: vec![] };
        assert!(written(image, &unknown).found.contains("somebody"));
    }
}
