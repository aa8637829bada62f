//! Passwords as the shop keeps them: Argon2id, in the PHC string format.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{Error, PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use super::seed;

/// Memory of one hash, in KiB: small, so that the leak detector does not take a burst of registrations for a leak.
const MEMORY_KIB: u32 = 4 * 1024;
/// The hash of the made-up customers is cheap: their password is public.
const SEED_MEMORY_KIB: u32 = 64;
const SEED_SALT: &[u8] = b"made-up customer";

/// Returns the PHC string of `password`, made with `passes` passes over the memory.
///
/// # Errors
/// Returns an error when `passes` is zero or the machine has no source of random salts.
pub(crate) fn hash(password: &str, passes: u32) -> Result<String, Error> {
    Ok(argon2(MEMORY_KIB, passes)?.hash_password(password.as_bytes())?.to_string())
}

/// Returns the PHC string of the made-up customers' password.
///
/// # Errors
/// Returns an error when Argon2 refuses the parameters above.
pub(crate) fn seed_hash() -> Result<String, Error> {
    let argon2 = argon2(SEED_MEMORY_KIB, 1)?;
    Ok(argon2.hash_password_with_salt(seed::PASSWORD.as_bytes(), SEED_SALT)?.to_string())
}

/// Returns whether `stored` is the hash of `password`; `false` where it is no hash at all.
pub(crate) fn fits(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

fn argon2(memory_kib: u32, passes: u32) -> Result<Argon2<'static>, Error> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory_kib, passes, 1, None)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_hash_only() {
        let stored = hash("hunter2", 1).unwrap();
        assert!(fits("hunter2", &stored));
        assert!(!fits("hunter3", &stored));
        assert!(!fits("hunter2", "not a hash"));
    }

    #[test]
    fn the_seed_hash_is_the_same_each_time() {
        assert_eq!(seed_hash().unwrap(), seed_hash().unwrap());
        assert!(fits(seed::PASSWORD, &seed_hash().unwrap()));
    }
}
