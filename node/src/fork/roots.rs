//! Whom TLS connections to the forked node trust: Mozilla's list, or the certificates of a file.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::ForkError;

/// The variable that names the file, as OpenSSL has it.
const VARIABLE: &str = "SSL_CERT_FILE";

/// The certificates of the PEM file that `SSL_CERT_FILE` names; none if it is not set.
pub(super) fn of_file() -> Result<Option<Vec<CertificateDer<'static>>>, ForkError> {
    let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let bad = |problem| ForkError::Roots { path: path.clone().into(), problem };
    let read =
        CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let roots = read.map_err(|error| bad(error.to_string()))?;
    if roots.is_empty() { Err(bad("no certificates in it".to_owned())) } else { Ok(Some(roots)) }
}
