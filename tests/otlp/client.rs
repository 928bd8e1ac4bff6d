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

#[test]
fn what_is_no_certificate_with_its_key_is_told_in_a_line() {
    let (ours, other) = (certificates(), certificates());
    let (pem, key) = (ours.path("client.pem"), ours.path("client.key"));
    let missing = ours.path("missing.pem");
    let encrypted = ours.path("encrypted.key");
    let words = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(&encrypted, words).unwrap();
    fs::set_permissions(&encrypted, fs::Permissions::from_mode(0o600)).unwrap();
    let garbage = ours.path("garbage.pem");
    fs::write(
        &garbage,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let garbled = ours.path("garbled.key");
    fs::write(
        &garbled,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    fs::set_permissions(&garbled, fs::Permissions::from_mode(0o600)).unwrap();
    let open = ours.path("open.key");
    fs::copy(&key, &open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    for (variables, problem) in [
        (
            &[(CERTIFICATE, &*pem)][..],
            format!("{CERTIFICATE} is set without {KEY}: "),
        ),
        (
            &[(TRACES_KEY, &*key)],
            format!("{TRACES_KEY} is set without {CERTIFICATE}: "),
        ),
        (
            &[(CERTIFICATE, &*missing), (KEY, &*key)],
            format!("{CERTIFICATE} names {missing} as the certificate of this client: it can't be read: No such file"),
        ),
        (
            &[(CERTIFICATE, &*pem), (KEY, &*missing)],
            format!("{KEY} names {missing} as the key of this client: it can't be read: No such file"),
        ),
        (
            &[(CERTIFICATE, &*pem), (KEY, &*open)],
            format!(
                "{KEY} names {open} as the key of this client: everybody on this host may read or write it (mode 644)"
            ),
        ),
        (
            &[(CERTIFICATE, &*pem), (KEY, &*encrypted)],
            format!("{KEY} names {encrypted} as the key of this client: its key is encrypted"),
        ),
        (
            &[(CERTIFICATE, &*pem), (KEY, &*garbled)],
            format!("{KEY} names {garbled} as the key of this client: it is not a key of a kind that TLS uses here"),
        ),
        (
            &[(CERTIFICATE, &*garbage), (KEY, &*key)],
            format!("{CERTIFICATE} names {garbage} as the certificate of this client: it can't be used: "),
        ),
        (
            &[(CERTIFICATE, &*key), (KEY, &*key)],
            format!("{CERTIFICATE} names {key} as the certificate of this client: there is no certificate in it"),
        ),
        (
            &[(CERTIFICATE, &*pem), (KEY, &other.path("client.key"))],
            format!(
                "the key in {} ({KEY}) does not belong to the certificate in {pem} ({CERTIFICATE})",
                other.path("client.key")
            ),
        ),
    ] {
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
