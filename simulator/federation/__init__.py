"""Simulated federation servers (AD FS): a farm per forest that signs people in with their on-premises passwords.

state.py               the farm, and whom it lets in
signing.py             its key, and how a token is signed and checked
assertions.py          the tokens: SAML 1.1 and 2.0
wstrust.py errors.py   requests for tokens and their answers (WS-Trust 2005 and 1.3), and refusals
mex.py                 the document that tells clients where to ask
http.py client.py      both ends of the wire
"""
