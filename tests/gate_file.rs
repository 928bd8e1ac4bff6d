//! Gate files from the outside: what good ones mean, and what is said about bad ones.

use std::path::{Path, PathBuf};

use bootgate::plan::{self, Attachment, GateFileErrors, ImageSource, Plan, SecretSource, VmUse};

fn gates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gates")
}

/// The gate files of a directory, in the order of their names.
fn gate_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the fixtures are part of the repository");
    let paths = entries.map(|entry| entry.expect("a readable directory").path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect();
    files.sort();
    files
}

/// Parses a fixture under the name that a person at the top of the repository would type.
fn parse(path: &Path) -> Result<Plan, GateFileErrors> {
    let name = path
        .strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .expect("fixtures lie in the repository");
    plan::parse(name, &std::fs::read_to_string(path).expect("a fixture is readable"))
}

fn good(name: &str) -> Plan {
    parse(&gates().join(name)).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_bad_gate_file_gets_a_message_worth_reading() {
    let files = gate_files(&gates().join("bad"));
    assert!(files.len() >= 40, "only {} bad gate files", files.len());
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/bad" }, {
        for path in files {
            let name = path.file_stem().expect("a fixture has a name").to_string_lossy().into_owned();
            let errors = parse(&path).expect_err(&name);
            insta::assert_snapshot!(name, errors.render(false));
        }
    });
}

#[test]
fn mistakes_come_in_the_order_of_the_text() {
    for path in gate_files(&gates().join("bad")) {
        let errors = parse(&path).expect_err("a bad gate file");
        let places: Vec<_> = errors.diagnostics().iter().map(|it| (it.line, it.column)).collect();
        assert!(places.is_sorted(), "{}: {places:?}", path.display());
    }
}

#[test]
fn a_program_gets_the_same_mistakes() {
    let errors = parse(&gates().join("bad/40-image-with-two-sources.toml")).expect_err("two sources");
    insta::assert_json_snapshot!("mistakes_as_json", errors.to_json());
}

#[test]
fn colours_are_asked_for() {
    let errors = plan::parse(Path::new("g.toml"), "").expect_err("an empty gate file");
    assert!(!errors.render(false).contains('\u{1b}'));
    assert!(errors.render(true).contains('\u{1b}'));
}

#[test]
fn the_place_is_the_same_in_the_rendering_and_in_the_json() {
    for path in gate_files(&gates().join("bad")) {
        let errors = parse(&path).expect_err("a bad gate file");
        let rendering = errors.render(false);
        for diagnostic in errors.diagnostics() {
            let place = format!("toml:{}:{}\n", diagnostic.line, diagnostic.column);
            assert!(rendering.contains(&place), "{place} is not in\n{rendering}");
        }
    }
}

#[test]
fn the_demo_gate_is_what_it_looks_like() {
    let plan = good("tiny-install.toml");
    insta::assert_snapshot!("tiny_install_described", plan::describe(&plan));
    insta::assert_json_snapshot!("tiny_install_as_json", plan::to_json(&plan));
}

#[test]
fn every_key_ends_up_in_the_plan() {
    let plan = good("every-key.toml");
    insta::assert_snapshot!("every_key_described", plan::describe(&plan));
    insta::assert_json_snapshot!("every_key_as_json", plan::to_json(&plan));
}

#[test]
fn a_production_image_is_opened_as_the_gate_says() {
    for (name, file) in [("untouched", "untouched.toml"), ("credentials", "credentials.toml")] {
        let plan = good(file);
        let json = plan::to_json(&plan);
        let told = format!("{}\n{:#}", plan::describe(&plan), json["ssh"]);
        insta::assert_snapshot!(format!("{name}_described"), told);
    }
}

#[test]
fn no_secret_is_shown() {
    let plan = good("every-key.toml");
    let shown = format!("{}{}{plan:?}", plan::describe(&plan), plan::to_json(&plan));
    assert!(!shown.contains("inline-password"), "{shown}");
    let text = "gate = 7\nssh = { user = 1, password = \"canary-1\" }\nstage = [{ ssh = { pasword = 'canary-2' }, \
                unlock = { prompt = 'x', answer = \"canary-3\", x = 1 } }]\n";
    for text in [
        text.to_owned(),
        text.replace('}', ""),
        text.replace('"', "'"),
        text.replace('\'', ""),
    ] {
        let errors = plan::parse(Path::new("gate.toml"), &text).expect_err("many mistakes");
        let shown = format!("{}{}{errors:?}", errors.render(true), errors.to_json());
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn line_ends_do_not_matter() {
    let text = std::fs::read_to_string(gates().join("every-key.toml")).expect("a fixture is readable");
    let file = Path::new("fixtures/gates/every-key.toml");
    let with_carriage_returns = plan::parse(file, &text.replace('\n', "\r\n"));
    assert_eq!(with_carriage_returns, plan::parse(file, &text));
    assert!(with_carriage_returns.is_ok());
}

/// A gate with `image` as the content of `[image]` and `machine` as that of `[machine]`.
fn small(file: &str, image: &str, machine: &str) -> Result<Plan, GateFileErrors> {
    let text = format!(
        "gate = 'g'\n[image]\n{image}\n[machine]\n{machine}\n[console]\nmarkers = ['ready']\n\
         [[stage]]\nname = 'boot'\nkind = 'boot'\ntimeout = '1m'\n"
    );
    plan::parse(Path::new(file), &text)
}

#[test]
fn paths_are_seen_from_the_gate_file() {
    let iso = |file, path| match small(file, &format!("iso = '{path}'"), "")
        .expect("a good gate")
        .image
        .source
    {
        ImageSource::Iso(path) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(iso("gates/g.toml", "a.iso"), Path::new("gates/a.iso"));
    assert_eq!(iso("gates/g.toml", "/a.iso"), Path::new("/a.iso"));
    assert_eq!(iso("g.toml", "a.iso"), Path::new("a.iso"));
    let qemu = |path| {
        small("gates/g.toml", "iso = 'a'", &format!("qemu = '{path}'"))
            .expect("a good gate")
            .machine
            .qemu
    };
    assert_eq!(qemu("qemu-kvm"), Path::new("qemu-kvm"));
    assert_eq!(qemu("./qemu-kvm"), Path::new("gates/./qemu-kvm"));
}

#[test]
fn an_image_is_attached_as_fits_it() {
    let attach = |image| small("g.toml", image, "").expect("a good gate").image.attach;
    assert_eq!(attach("iso = 'a'"), Attachment::Cd);
    assert_eq!(attach("iso = 'a'\nattach = 'usb'"), Attachment::Usb);
    assert_eq!(attach("disk = 'a'\nformat = 'raw'"), Attachment::Virtio);
    let kernel = small("g.toml", "kernel = 'k'\nappend = 'console=ttyS0'", "").expect("a good gate");
    assert!(matches!(kernel.image.source, ImageSource::Kernel { initrd: None, .. }));
}

#[test]
fn a_stage_may_log_in_as_somebody_else() {
    let plan = good("every-key.toml");
    let login = |stage| plan.login(stage).expect("the gate has a login");
    assert_eq!((login(0).user.as_str(), login(0).password), ("core", None));
    assert_eq!(login(2).user, "installer");
    assert_eq!(login(3).user, "core");
    assert!(
        matches!(login(3).password, Some(SecretSource::Inline(password)) if password.expose() == "inline-password")
    );
    // Its own password replaces the gate's key: offering that key would prove nothing about the installed system.
    assert_eq!(login(3).key, None);
    assert_eq!(plan.stages[2].vm, VmUse::Fresh);
}

#[test]
fn only_arguments_that_break_the_run_are_refused() {
    let extra = |arguments: &str| small("g.toml", "iso = 'a'", &format!("extra-args = [{arguments}]"));
    assert!(extra("'-smbios', 'type=1,serial=panic', '-global', 'kvm-pit.lost_tick_policy=discard'").is_ok());
    for refused in [
        "-daemonize",
        "--daemonize",
        "-qmp",
        "-monitor",
        "-serial",
        "-S",
        "-accel",
        "-M",
        "-m",
        "-snapshot",
    ] {
        let errors = extra(&format!("'{refused}'")).expect_err(refused);
        assert_eq!(errors.diagnostics().len(), 1, "{errors}");
        assert!(errors.diagnostics()[0].message.contains(refused), "{errors}");
    }
}
