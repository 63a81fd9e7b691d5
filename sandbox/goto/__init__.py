"""The sandbox GoTo: a stand-in of GoTo's OAuth server to practise on. Never a real one.

It holds no secret worth keeping, listens on loopback alone, and knows nothing of the product.
"""
