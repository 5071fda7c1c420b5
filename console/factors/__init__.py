"""The second factors of users: authenticator apps, recovery codes and passkeys. They are rows of allauth's Authenticator.

`data` of a row, by its type: the app has `secret` (encrypted) and `counter`, the time step of the last code that was accepted;
recovery codes have `seed` (encrypted) and `used_mask`; a passkey has `name`, `credential` (encrypted), `sign_count` and
`challenges`, those that were answered lately. The pages are in `console/pages/account/`.
"""
