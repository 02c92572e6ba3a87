import { fetchPackages } from './load-package';
import { serve } from './serve';

serve(fetchPackages);
