//! Issues tokens for the local stack: an `OpenID` provider of two objects in a bucket, and a key
//! with the lifetime of this process.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::aws::LocalAws;

const BUCKET: &str = "tokens";
const KEY_ID: &str = "local";
const LIFETIME: Duration = Duration::from_hours(24);

/// An issuer of tokens.
pub(crate) struct Issuer {
    url: String,
    audience: String,
    key: KeyPair,
}

impl Issuer {
    /// Creates a key, and publishes its public half at the address of authorizers.
    pub(crate) async fn publish(aws: &LocalAws, audience: &str) -> Result<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| anyhow!("cannot generate an RSA key"))?;
        let issuer = Self {
            url: format!("{}/{BUCKET}", aws.endpoint()),
            audience: audience.to_owned(),
            key,
        };
        aws.create_bucket(BUCKET).await?;
        aws.open_bucket(BUCKET).await?;
        let configuration =
            json!({ "issuer": issuer.url, "jwks_uri": format!("{}/jwks.json", issuer.url) });
        aws.put_object(
            BUCKET,
            ".well-known/openid-configuration",
            configuration.to_string().into_bytes(),
        )
        .await?;
        aws.put_object(
            BUCKET,
            "jwks.json",
            issuer.key_set()?.to_string().into_bytes(),
        )
        .await?;
        Ok(issuer)
    }

    /// The `iss` of its tokens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A token with this role, or without one.
    pub(crate) fn token(&self, role: Option<&str>) -> Result<String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let mut claims = json!({
            "iss": self.url, "aud": self.audience, "sub": format!("{}@local", role.unwrap_or("nobody")),
            "iat": now.as_secs(), "exp": (now + LIFETIME).as_secs(),
        });
        if let Some(role) = role {
            claims["role"] = role.into();
        }
        let signed = format!(
            "{}.{}",
            encoded(&json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID })),
            encoded(&claims)
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        let sign = self.key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        );
        sign.map_err(|_| anyhow!("the token could not be signed"))?;
        Ok(format!(
            "{signed}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }

    fn key_set(&self) -> Result<Value> {
        let modulus = modulus(self.key.public_key().as_ref())
            .context("the key does not have the requested length")?;
        Ok(json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
            "n": BASE64_URL_SAFE_NO_PAD.encode(modulus), "e": BASE64_URL_SAFE_NO_PAD.encode([1, 0, 1]),
        }] }))
    }
}

/// The modulus of a 2,048-bit public key with exponent 65,537, from its `RSAPublicKey` in DER (RFC
/// 8017, A.1.1). With both given, all bytes around it are constant.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    let sequence_and_length = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    der.strip_prefix(&sequence_and_length)?
        .strip_suffix(&[0x02, 0x03, 0x01, 0x00, 0x01])
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}
