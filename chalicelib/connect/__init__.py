"""The customer's side: links, the authorization, the credential form."""
