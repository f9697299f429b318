//! A TLS client without certificate verification. The health check only needs to know that a server responds.

use std::{
    net::{IpAddr, TcpStream},
    sync::Arc,
};

use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
};

/// Wraps a stream in a TLS client connection that accepts every certificate.
///
/// # Errors
///
/// When the TLS client cannot be configured.
pub(super) fn trusting(server: IpAddr, stream: TcpStream) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let provider = Arc::new(ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let with = ClientConfig::builder_with_provider(provider);
    let with = with.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let trust = Arc::new(AcceptAnyCertificate { schemes });
    let config = with.dangerous().with_custom_certificate_verifier(trust).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), server.into()).map_err(|error| error.to_string())?;
    Ok(StreamOwned::new(connection, stream))
}

/// A verifier that accepts every certificate.
#[derive(Debug)]
struct AcceptAnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
