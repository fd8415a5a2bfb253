"""Mail that comes in: bounces and complaints, and letters signed by mail."""
