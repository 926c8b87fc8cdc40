use base64::Engine;
use gantri_core::ErrorKind;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};

use super::*;

/// A certificate that has signed itself, and its key in PKCS#8.
fn own(algorithm: &'static rcgen::SignatureAlgorithm) -> (Pem, Pem) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = CertificateParams::new(["me.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    (Pem::new("me.crt", certificate.pem()), Pem::new("me.key", key.serialize_pem()))
}

fn told(result: Result<Tls>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_name() {
    let (certificate, key) = own(&PKCS_ECDSA_P256_SHA256);
    let (_, other_key) = own(&PKCS_ECDSA_P256_SHA256);
    let text = |text: &str| Pem::new("x.pem", text);
    let broken = text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let torn = text("-----BEGIN CERTIFICATE-----\nAAAA\n");
    let locked = text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let tls = Tls::default;
    for (result, expected) in [
        (tls().roots(&text("")), "tls: x.pem: no certificate in it (PEM)"),
        (tls().roots(&key), "tls: me.key: no certificate in it (PEM)"),
        (tls().roots(&torn), "tls: x.pem: a section has no end"),
        (tls().roots(&broken), "tls: x.pem: certificate 1 can't be trusted"),
        (tls().identity(&text("x"), &key), "tls: x.pem: no certificate in it (PEM)"),
        (tls().identity(&certificate, &certificate), "tls: me.crt: no key in it (PEM: PKCS#8, SEC1 or PKCS#1)"),
        (tls().identity(&certificate, &locked), "tls: x.pem: the key in it is encrypted"),
        (tls().identity(&certificate, &other_key), "tls: me.key: the key is not the one of the certificate in me.crt"),
        (tls().identity(&broken, &key), "tls: x.pem: the first certificate is none"),
    ] {
        assert_eq!(told(result), expected);
    }
}

/// A16: a file that could hold a key is never shown, nor is a line of one that can't be read.
#[test]
fn no_key_is_shown() {
    let (certificate, key) = own(&PKCS_ED25519);
    let both = Tls::default().roots(&certificate).unwrap().identity(&certificate, &key).unwrap();
    let line = "MC4CAQAwBQYDK2Vw";
    let pem = Pem::new("me.key", format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----BEGIN {line}"));
    let error = Tls::default().identity(&certificate, &pem).unwrap_err();
    assert!(!format!("{pem:?} {error} {error:?} {both:?}").contains(line), "{error:?}");
}

/// PKCS#8, SEC1 and PKCS#1, and a key in the file of its certificate.
#[test]
fn keys_are_taken_in_every_form() {
    let forms = [(&PKCS_ECDSA_P256_SHA256, "EC PRIVATE KEY"), (&PKCS_RSA_SHA256, "RSA PRIVATE KEY")];
    for (algorithm, section) in forms {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(["me.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let base64 = base64::engine::general_purpose::STANDARD.encode(inner(key.serialized_der()));
        let older = format!("-----BEGIN {section}-----\n{base64}\n-----END {section}-----\n");
        for key in [older, key.serialize_pem()] {
            let both = Pem::new("both.pem", format!("{key}{}", certificate.pem()));
            Tls::default().identity(&both, &both).unwrap();
        }
    }
}

/// The key inside a PKCS#8 one, which is SEC1 or PKCS#1: behind a version and an algorithm, in the third element.
fn inner(pkcs8: &[u8]) -> &[u8] {
    let element = |from: &'static str, der: &[u8]| -> (usize, usize) {
        let long = usize::from(der[1]).saturating_sub(0x80);
        let length = if long == 0 {
            usize::from(der[1])
        } else {
            der[2..2 + long].iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        };
        assert!(der.len() >= 2 + long + length, "{from}");
        (2 + long, length)
    };
    let mut rest = &pkcs8[element("key", pkcs8).0..];
    for name in ["version", "algorithm"] {
        let (head, length) = element(name, rest);
        rest = &rest[head + length..];
    }
    let (head, length) = element("octets", rest);
    &rest[head..head + length]
}
