//! A collector behind TLS, whose certificate an authority of this test has signed.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::cli_support::{Seen, bootgate, see};
use crate::collector::Collector;
use crate::http::{Message, TAKEN, port};
use crate::spans::exported;

const RUN: &str = "fixtures/runs/kernel-panic";
pub(crate) const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// An authority, and a server's certificate that it has signed for one address.
pub(crate) struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    pub(crate) fn new(server: &str) -> Self {
        let certificates = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        certificates.make("authority", "basicConstraints = critical, CA:TRUE", &[]);
        let signed = ["-CA", "authority.pem", "-CAkey", "authority.key"];
        certificates.make("server", &format!("subjectAltName = IP:{server}"), &signed);
        certificates
    }

    pub(crate) fn make(&self, name: &str, extensions: &str, signed: &[&str]) {
        let settings = format!(
            "[req]\nprompt = no\ndistinguished_name = n\nx509_extensions = x\n[n]\nCN = {name}\n[x]\n{extensions}\n"
        );
        fs::write(self.folder.path().join("settings"), settings).unwrap();
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-config", "settings", "-days", "2", "-nodes"]);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        command.args(["-out", &format!("{name}.pem"), "-keyout", &format!("{name}.key")]);
        let output = command.args(signed).current_dir(self.folder.path()).output();
        let output = output.expect("openssl is missing; install it with: apt-get install openssl");
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A server that asks nobody for a certificate, or everybody for one that the authority has signed.
    fn server(&self, asks: bool) -> Arc<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.path("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let config = if asks {
            let mut roots = RootCertStore::empty();
            let authority = CertificateDer::from_pem_file(self.path("authority.pem")).unwrap();
            roots.add(authority).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.unwrap().with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.unwrap().with_no_client_auth()
        };
        Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
    }

    /// Takes one request over TLS and answers what this gives. Gives the request, if one came.
    fn serve(
        &self,
        answer: impl FnOnce(&Message) -> Vec<u8> + Send + 'static,
    ) -> (String, JoinHandle<Option<Message>>) {
        self.serve_whom(false, answer)
    }

    /// The same, asking for a certificate if that is wanted.
    pub(crate) fn serve_whom(
        &self,
        asks: bool,
        answer: impl FnOnce(&Message) -> Vec<u8> + Send + 'static,
    ) -> (String, JoinHandle<Option<Message>>) {
        let (listener, address) = port();
        let config = self.server(asks);
        let served = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(config).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let Some(request) = Message::read(&mut stream) else {
                // What is still to come is read, so that the reason is not lost with the connection.
                let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
                return None;
            };
            stream.write_all(&answer(&request)).unwrap();
            Some(request)
        });
        (address.replace("http:", "https:"), served)
    }
}

/// What another collector answers to this request.
fn forwarded(request: &Message, address: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.write_all(&request.bytes()).unwrap();
    Message::read(&stream).unwrap().bytes()
}

pub(crate) fn send(endpoint: &str, variables: &[(&str, &str)]) -> Seen {
    let mut command = bootgate(["trace", RUN, "--otlp-endpoint", endpoint]);
    for variable in ["SSL_CERT_FILE", CERTIFICATE] {
        command.env_remove(variable);
    }
    see(command.env("NO_PROXY", "*").envs(variables.iter().copied()))
}

#[test]
fn a_real_collector_behind_tls_takes_a_run() {
    let mut collector = Collector::start();
    // It listens now.
    Collector::send("fixtures/runs/reset-loop", &collector.endpoint, &[]);
    let certificates = Certificates::new("127.0.0.1");
    let plain = collector.endpoint.clone();
    let (address, served) = certificates.serve(move |request| forwarded(request, &plain));
    let seen = send(&address, &[(CERTIFICATE, &certificates.path("authority.pem"))]);
    assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""));
    assert!(served.join().unwrap().is_some());
    let (_, spans) = exported(RUN);
    collector.lines_to(&format!("ID             : {}", spans.last().unwrap().id));
}

/// A variable for traces alone comes before one for everything, and that before one for every program.
#[test]
fn an_authority_is_named_by_each_of_the_variables() {
    let certificates = Certificates::new("127.0.0.1");
    let (right, wrong) = (certificates.path("authority.pem"), Certificates::new("127.0.0.1"));
    let wrong = wrong.path("authority.pem");
    let ways: [&[(&str, &str)]; 3] = [
        &[("SSL_CERT_FILE", &right)],
        &[(CERTIFICATE, &right), ("SSL_CERT_FILE", &wrong)],
        &[("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &right), (CERTIFICATE, &wrong)],
    ];
    for variables in ways {
        let (address, served) = certificates.serve(|_| TAKEN.to_vec());
        let seen = send(&address, variables);
        assert_eq!((seen.code, seen.stderr.as_str()), (Some(0), ""), "{variables:?}");
        assert!(served.join().unwrap().unwrap().tells("kernel-panic"));
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_told_with_its_remedy() {
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=word");
    let (certificates, other) = (Certificates::new("127.0.0.1"), Certificates::new("127.0.0.1"));
    let other = other.path("authority.pem");
    for (variables, trusted) in [
        (&[headers][..], "trusted are the authorities that Mozilla trusts;"),
        (
            &[headers, (CERTIFICATE, &other)],
            &format!("trusted are the 1 in {other} ({CERTIFICATE});"),
        ),
    ] {
        let (address, served) = certificates.serve(|_| TAKEN.to_vec());
        let seen = send(&address, variables);
        assert_eq!(seen.code, Some(4), "{seen:?}");
        for words in [
            "shows a certificate that is not trusted",
            "help: ",
            trusted,
            CERTIFICATE,
        ] {
            assert!(seen.stderr.contains(words), "{words}: {seen:?}");
        }
        assert!(served.join().unwrap().is_none(), "nothing is sent to whom nobody knows");
    }
}

#[test]
fn a_certificate_for_another_host_is_told() {
    let certificates = Certificates::new("127.0.0.2");
    let (address, served) = certificates.serve(|_| TAKEN.to_vec());
    let seen = send(&address, &[(CERTIFICATE, &certificates.path("authority.pem"))]);
    assert_eq!(seen.code, Some(4), "{seen:?}");
    for words in ["is not trusted", "127.0.0.2", "for the host in its address"] {
        assert!(seen.stderr.contains(words), "{words}: {seen:?}");
    }
    assert!(served.join().unwrap().is_none());
}

#[test]
fn a_file_that_holds_no_authority_is_told_before_anything_is_sent() {
    let certificates = Certificates::new("127.0.0.1");
    for (file, words) in [
        ("authority.key", "there is no certificate in it"),
        ("missing.pem", "it can't be read: No such file"),
    ] {
        let path = certificates.path(file);
        let seen = send("https://127.0.0.1:1", &[(CERTIFICATE, &path)]);
        assert_eq!(seen.code, Some(2), "{seen:?}");
        let named = format!("{CERTIFICATE} names {path} as the certificates to trust: {words}");
        assert!(seen.stderr.contains(&named), "{seen:?}");
        // Without TLS nobody is to be trusted.
        let seen = send("http://127.0.0.1:1", &[(CERTIFICATE, &path)]);
        assert_eq!(seen.code, Some(4), "{seen:?}");
    }
}
