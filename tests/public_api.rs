//! What an embedder may rely on.

use std::error::Error;

use opswat_mock::{
    ConnectionClosedError, Mock, StartError,
    account::{CreateAccountError, MintTokenError, fault::FaultError, injected::InjectError},
    clock::SetClockError,
    world::ReproducibilityError,
};

#[test]
fn errors_can_be_boxed_and_sent_to_another_thread() {
    fn is_error<T: Error + Send + Sync + 'static>() {}

    is_error::<ConnectionClosedError>();
    is_error::<StartError>();
    is_error::<CreateAccountError>();
    is_error::<MintTokenError>();
    is_error::<FaultError>();
    is_error::<InjectError>();
    is_error::<SetClockError>();
    is_error::<ReproducibilityError>();
}

#[test]
fn the_handle_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}

    is_shared::<Mock>();
}

#[test]
fn the_history_is_that_of_the_binary() {
    assert_eq!(opswat_mock::world::check_reproducibility(), Ok(()));
}
