//! A collector that asks its clients for a certificate.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use crate::http::{TAKEN, port};
use crate::tls::{CERTIFICATE as AUTHORITY, Certificates, send};

const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
const TRACES_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE";
const TRACES_KEY: &str = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY";
/// Nothing is sent there: the files are read before.
const NOWHERE: &str = "https://127.0.0.1:1";

/// An authority that has signed a collector and a client.
fn certificates() -> Certificates {
    let certificates = Certificates::new("127.0.0.1");
    certificates.make(
        "client",
        "extendedKeyUsage = clientAuth",
        &["-CA", "authority.pem", "-CAkey", "authority.key"],
    );
    certificates
}

/// A variable for traces alone comes before one for everything, each for itself, as the specification has it.
#[test]
fn a_client_with_its_certificate_is_let_in() {
    let (ours, strangers) = (certificates(), certificates());
    let (pem, key) = (ours.path("client.pem"), ours.path("client.key"));
    let (other_pem, other_key) = (strangers.path("client.pem"), strangers.path("client.key"));
    let both = ours.path("both.pem");
    fs::copy(&key, &both).unwrap();
    let text = fs::read_to_string(&key).unwrap() + &fs::read_to_string(&pem).unwrap();
    fs::write(&both, text).unwrap();
    let ways: [&[(&str, &str)]; 4] = [
        &[(CERTIFICATE, &pem), (KEY, &key)],
        &[(CERTIFICATE, &both), (KEY, &both)],
        &[
            (CERTIFICATE, &other_pem),
            (KEY, &other_key),
            (TRACES_CERTIFICATE, &pem),
            (TRACES_KEY, &key),
        ],
        &[(CERTIFICATE, &other_pem), (KEY, &key), (TRACES_CERTIFICATE, &pem)],
    ];
    for variables in ways {
        let (address, served) = ours.serve_whom(true, |_| TAKEN.to_vec());
        let authority = ours.path("authority.pem");
        let seen = send(&address, &[&[(AUTHORITY, &*authority)], variables].concat());
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{variables:?}");
        assert!(served.join().unwrap().unwrap().tells("kernel-panic"));
    }
}

#[test]
fn a_client_that_is_not_let_in_is_told_what_it_lacks() {
    let (ours, strangers) = (certificates(), certificates());
    let (pem, key) = (strangers.path("client.pem"), strangers.path("client.key"));
    let shown = format!("shown to it is the certificate in {pem} ({CERTIFICATE})");
    for (variables, words) in [
        (
            &[][..],
            [
                "TLS alert CertificateRequired",
                "ask for the certificate of a client",
                CERTIFICATE,
                KEY,
            ],
        ),
        (
            &[(CERTIFICATE, &*pem), (KEY, &*key)],
            ["TLS alert ", &shown, "an authority that the collector trusts", ""],
        ),
    ] {
        let (address, served) = ours.serve_whom(true, |_| TAKEN.to_vec());
        let authority = ours.path("authority.pem");
        let seen = send(&address, &[&[(AUTHORITY, &*authority)], variables].concat());
        assert_eq!(seen.code, Some(4), "{seen:?}");
        for words in ["does not let this client in", "help: "].iter().chain(&words) {
            assert!(seen.stderr.contains(words), "{words}: {seen:?}");
        }
        assert!(served.join().unwrap().is_none(), "the spans are not for everybody");
    }
}

/// A server that hangs up at once takes its own reason back with it.
#[test]
fn a_connection_that_is_cut_hints_at_the_certificate() {
    let (listener, address) = port();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
    });
    let seen = send(&address.replace("http:", "https:"), &[]);
    served.join().unwrap();
    assert_eq!(seen.code, Some(4), "{seen:?}");
    for words in [
        "can't be reached",
        "it may ask for the certificate of a client",
        CERTIFICATE,
        KEY,
    ] {
        assert!(seen.stderr.contains(words), "{words}: {seen:?}");
    }
}

/// Each line is of one variable's file; nothing is sent.
fn assert_told(variables: &[(&str, &str)], problem: &str) {
    let seen = send(NOWHERE, variables);
    assert_eq!(seen.code, Some(2), "{seen:?}");
    assert!(
        seen.stderr.starts_with(&format!("error: {problem}")),
        "{problem}: {seen:?}"
    );
    assert_eq!(seen.stderr.lines().count(), 1, "{seen:?}");
    // Without TLS nobody is shown anything.
    let seen = send("http://127.0.0.1:1", variables);
    assert_eq!(seen.code, Some(4), "{seen:?}");
}

#[test]
fn a_certificate_and_a_key_that_are_no_pair_are_told_in_a_line() {
    let (ours, other) = (certificates(), certificates());
    let (pem, key, other) = (
        ours.path("client.pem"),
        ours.path("client.key"),
        other.path("client.key"),
    );
    assert_told(&[(CERTIFICATE, &pem)], &format!("{CERTIFICATE} is set without {KEY}: "));
    assert_told(
        &[(TRACES_KEY, &key)],
        &format!("{TRACES_KEY} is set without {CERTIFICATE}: "),
    );
    assert_told(
        &[(CERTIFICATE, &pem), (KEY, &other)],
        &format!("the key in {other} ({KEY}) does not belong to the certificate in {pem} ({CERTIFICATE})"),
    );
}

#[test]
fn a_file_that_can_not_be_used_is_told_in_a_line() {
    let ours = certificates();
    let (pem, key) = (ours.path("client.pem"), ours.path("client.key"));
    let file = |name: &str, text: &str, mode: u32| {
        let path = ours.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let garbage = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    let missing = ours.path("missing.pem");
    for (certificate, problem) in [
        (&missing, "it can't be read: No such file"),
        (
            &file("garbage.pem", &garbage("CERTIFICATE"), 0o644),
            "it can't be used: ",
        ),
        (&key, "there is no certificate in it"),
    ] {
        let problem = format!("{CERTIFICATE} names {certificate} as the certificate of this client: {problem}");
        assert_told(&[(CERTIFICATE, certificate), (KEY, &key)], &problem);
    }
    let open = fs::read_to_string(&key).unwrap();
    for (key, problem) in [
        (&missing, "it can't be read: No such file"),
        (
            &file("open.key", &open, 0o644),
            "everybody on this host may read or write it (mode 644)",
        ),
        (
            &file("locked.key", &garbage("ENCRYPTED PRIVATE KEY"), 0o600),
            "its key is encrypted",
        ),
        (
            &file("garbled.key", &garbage("PRIVATE KEY"), 0o600),
            "it is not a key of a kind that TLS uses here",
        ),
        (&pem, "everybody on this host may read"),
    ] {
        let problem = format!("{KEY} names {key} as the key of this client: {problem}");
        assert_told(&[(CERTIFICATE, &pem), (KEY, key)], &problem);
    }
}

/// A key is in no message, whichever side of it is wrong.
#[test]
fn no_message_holds_a_part_of_the_key() {
    let (ours, other) = (certificates(), certificates());
    let key = ours.path("client.key");
    let secret = fs::read_to_string(&key).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    for certificate in [ours.path("client.pem"), other.path("client.pem"), key.clone()] {
        for log in ["", "trace"] {
            let seen = send(
                NOWHERE,
                &[(CERTIFICATE, &certificate), (KEY, &key), ("BOOTGATE_LOG", log)],
            );
            assert_ne!(seen.code, Some(0));
            assert!(!format!("{seen:?}").contains(secret), "{certificate}");
        }
    }
}
